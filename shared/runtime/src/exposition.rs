//! In which form `/metrics` answers: OpenMetrics text, or the protobuf form of Prometheus, which alone has room for native
//! histograms.

use http::HeaderMap;
use http::header::ACCEPT;

/// A form of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics text.
    Text,
    /// `MetricFamily` messages, each with its length before it.
    Protobuf,
}

impl Form {
    /// What a scrape likes best of the two; text where it says nothing.
    pub fn asked(headers: &HeaderMap) -> Self {
        let given = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (Self::Text, 0.0);
        for (form, weight) in given.flat_map(|value| value.split(',')).filter_map(choice) {
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }

    /// The media type of the answer.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// One range of media types with its weight (RFC 9110, 12.5.1); `None` for what is not served.
fn choice(range: &str) -> Option<(Form, f64)> {
    let mut parts = range.split(';').map(str::trim);
    let form = match parts.next()?.to_ascii_lowercase().as_str() {
        "application/vnd.google.protobuf" => Form::Protobuf,
        "application/openmetrics-text" | "text/plain" | "text/*" | "application/*" | "*/*" => Form::Text,
        _ => return None,
    };
    let mut weight = 1.0;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.parse().ok().filter(|weight| (0.0..=1.0).contains(weight))?,
            "proto" if value != "io.prometheus.client.MetricFamily" => return None,
            "encoding" if value != "delimited" => return None,
            _ => {}
        }
    }
    Some((form, weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(accept: &[&'static str]) -> Form {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(ACCEPT, http::HeaderValue::from_static(value));
        }
        Form::asked(&headers)
    }

    const PROTOBUF: &str =
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    #[test]
    fn a_scrape_gets_the_form_that_it_likes_best() {
        // What Prometheus sends with native histograms on, and without.
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
                      application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let plain = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                     application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,*/*;q=0.2";
        assert_eq!(asked(&[native]), Form::Protobuf);
        assert_eq!(asked(&[plain]), Form::Text);
        assert_eq!(asked(&[PROTOBUF]), Form::Protobuf);
        assert_eq!(asked(&["text/plain;q=0.5", PROTOBUF]), Form::Protobuf);
        assert_eq!(asked(&["text/plain", PROTOBUF]), Form::Text, "the first of two that are liked alike");
    }

    #[test]
    fn anything_else_is_text() {
        for accept in [
            "",
            "*/*",
            "text/html,application/xhtml+xml",
            "application/vnd.google.protobuf;q=0",
            "application/vnd.google.protobuf;q=NaN",
            "application/vnd.google.protobuf;q=7",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text",
            "application/vnd.google.protobuf;proto=other.Message;encoding=delimited",
            ";;q=,,=",
        ] {
            assert_eq!(asked(&[accept]), Form::Text, "{accept}");
        }
        assert_eq!(asked(&[]), Form::Text);
    }
}
