//! The frame of a page for the browser: one file without outside resources and without scripts, readable on light and dark,
//! on a screen and on paper.

use std::fmt::Write;

use super::terminal::is_turning;

/// Letters of a name or value that are shown.
const LETTERS: usize = 120;

const STYLE: &str = "
:root{color-scheme:light dark;--back:#fff;--text:#1c1e21;--dim:#64686f;--line:#d9dce1;--card:#f6f7f9;--bar:#3b6fb6;--soft:#b9cde8;
--good:#1a7f43;--bad:#b3261e;--warn:#8a5a00}
@media(prefers-color-scheme:dark){:root{--back:#15171a;--text:#e6e8eb;--dim:#9aa0a8;--line:#33373d;--card:#1d2024;--bar:#7aa7e6;--soft:#3d567a;
--good:#5cc489;--bad:#f2857d;--warn:#e0b25c}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:72rem;padding:1.5rem;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,Segoe UI,sans-serif}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .6rem}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.3rem 0;overflow-wrap:anywhere}.dim{color:var(--dim)}.pass{color:var(--good)}.fail{color:var(--bad)}.inconclusive{color:var(--warn)}
.facts{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}
.fact{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .9rem}
.fact b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;min-width:40rem}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:break-word}td.v{white-space:nowrap}th{color:var(--dim);font-weight:600;white-space:nowrap}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.columns{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:.9rem}
.column{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.8rem;min-width:0}
.column dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:.4rem 0;font-size:.9rem}
dt{color:var(--dim)}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
svg{display:block;width:100%;height:auto}svg rect{fill:var(--bar)}svg text{fill:var(--dim);font:10px system-ui,sans-serif}
.top{font-size:.9rem;display:grid;grid-template-columns:1fr auto;gap:.1rem .6rem;margin-top:.4rem}
.top span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.top i{grid-column:1/3;height:3px;background:var(--bar);border-radius:2px;margin-bottom:.2rem}
.wide td:last-child{min-width:18rem}details table{min-width:0}.wide details td:last-child{min-width:0}summary{cursor:pointer;color:var(--dim)}
footer{margin-top:2.5rem;color:var(--dim);font-size:.85rem}
@media print{body{max-width:none;padding:0;font-size:11px}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.column,.fact,tr,svg{break-inside:avoid}h2,h3{break-after:avoid}.wide{overflow:visible}table{min-width:0}}
";

/// Begins a page; what follows is its body, and [`end`] ends it.
///
/// `title` is text, `style` is added to the style of all pages.
pub fn begin(title: &str, style: &str) -> String {
    let mut out = String::with_capacity(1 << 16);
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    let title = escaped(title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}{style}</style></head><body>\n"
    );
    out
}

/// Ends a page with a note, which is text.
pub fn end(note: &str, out: &mut String) {
    let _ = writeln!(out, "<footer>{}</footer></body></html>", escaped(note));
}

/// Whether a letter is none that a reader sees: a control character, or one that turns the direction of text.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control() || is_turning(letter)
}

/// Text as HTML; control characters and those that turn the direction of text are shown as a point.
pub fn escaped(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => made.push_str("&amp;"),
            '<' => made.push_str("&lt;"),
            '>' => made.push_str("&gt;"),
            '"' => made.push_str("&quot;"),
            '\'' => made.push_str("&#39;"),
            letter if is_hidden(letter) => made.push('·'),
            letter => made.push(letter),
        }
    }
    made
}

/// The beginning of a text as HTML.
pub fn short(text: &str) -> String {
    let mut made = escaped(&text.chars().take(LETTERS).collect::<String>());
    if text.chars().nth(LETTERS).is_some() {
        made.push('…');
    }
    made
}

/// A figure with its name in a box of its own. Both are HTML.
pub fn fact(label: &str, value: &str, out: &mut String) {
    let _ = write!(out, "<div class=\"fact\"><b>{value}</b><span class=\"dim\">{label}</span></div>");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_is_no_markup() {
        assert_eq!(escaped("<b a='1'>&\"\n\u{202e}"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;··");
        assert_eq!(short(&"x".repeat(200)).chars().count(), 121);
    }

    #[test]
    fn a_page_asks_for_nothing_from_outside() {
        let mut page = begin("</title><script>", "");
        end("<img src=x>", &mut page);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("http:"), "{page}");
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
