//! Keyset pages: a page token is the last name of the page before, so that rows that come and go move nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Rows of a page where the request names none.
pub const DEFAULT_SIZE: u32 = 50;
/// The most rows of a page.
pub const LARGEST_SIZE: u32 = 1000;

/// A token that a client sent and this project did not make.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("page_token is not one that this service gave")]
pub struct BadToken;

/// What a list request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Only names greater than this one; `""` from the start.
    pub after: String,
    /// At most so many rows.
    pub size: u32,
}

impl Page {
    /// Reads `page_size` (0 or less: the default; cut at the largest) and `page_token`.
    pub fn parse(page_size: i32, page_token: &str) -> Result<Self, BadToken> {
        let size =
            u32::try_from(page_size).ok().filter(|size| *size > 0).unwrap_or(DEFAULT_SIZE).min(LARGEST_SIZE);
        if page_token.is_empty() {
            return Ok(Self { after: String::new(), size });
        }
        let bytes = URL_SAFE_NO_PAD.decode(page_token).map_err(|_| BadToken)?;
        let text = String::from_utf8(bytes).map_err(|_| BadToken)?;
        let after = text.strip_prefix("v1:").ok_or(BadToken)?.to_owned();
        if after.is_empty() || after.len() > 512 || after.chars().any(char::is_control) {
            return Err(BadToken);
        }
        Ok(Self { after, size })
    }

    /// The token of the next page, `""` where `names` did not fill this one.
    pub fn next_token<'a>(
        &self,
        names: impl DoubleEndedIterator<Item = &'a str> + ExactSizeIterator,
    ) -> String {
        let full = names.len() >= self.size as usize;
        let mut names = names;
        match names.next_back() {
            Some(last) if full => URL_SAFE_NO_PAD.encode(format!("v1:{last}")),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_next_page() {
        let page = Page::parse(2, "").expect("a page");
        let token = page.next_token(["a", "b"].into_iter());
        assert_eq!(Page::parse(2, &token), Ok(Page { after: "b".into(), size: 2 }));
        assert_eq!(page.next_token(["a"].into_iter()), "");
    }

    #[test]
    fn forged_tokens_are_refused() {
        for token in ["x", "djE6", "////", "YWJj", &URL_SAFE_NO_PAD.encode("v1:a\0b")] {
            assert_eq!(Page::parse(0, token), Err(BadToken), "{token}");
        }
    }
}
