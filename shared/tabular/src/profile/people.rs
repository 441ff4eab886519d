//! Columns that say something of people, by their names and by what their values look like.

use super::quality::Facts;
use super::report::Column;

/// Words in names of columns that say something of a person.
const SENSITIVE: [&str; 34] = [
    "sex",
    "gender",
    "race",
    "ethnic",
    "ethnicity",
    "religion",
    "age",
    "birth",
    "birthday",
    "birthdate",
    "dob",
    "nationality",
    "disability",
    "marital",
    "marriage",
    "orientation",
    "political",
    "union",
    "health",
    "diagnosis",
    "pregnant",
    "citizenship",
    "foreign",
    "immigrant",
    "ssn",
    "passport",
    "iban",
    "surname",
    "firstname",
    "lastname",
    "email",
    "phone",
    "address",
    "salary",
];
/// Pairs of words that do together.
const SENSITIVE_PAIRS: [(&str, &str); 8] = [
    ("native", "country"),
    ("personal", "status"),
    ("first", "name"),
    ("last", "name"),
    ("full", "name"),
    ("post", "code"),
    ("zip", "code"),
    ("credit", "card"),
];
/// Classes of texts that name a person or a device.
const PERSONAL: [&str; 4] = ["e-mail", "telephone number", "payment card", "IPv4 address"];

fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut lower = false;
    for letter in name.chars() {
        if !letter.is_alphanumeric() || (lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(letter.to_lowercase());
        }
        lower = letter.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a column's name says something of a person.
pub fn is_sensitive_name(name: &str) -> bool {
    let words = words(name);
    let alone = words.iter().any(|word| SENSITIVE.contains(&word.as_str()));
    alone || words.windows(2).any(|pair| SENSITIVE_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str())))
}

/// Tells of a column that says something of people and is not declared to.
pub fn of_people(column: &Column, facts: &Facts<'_>, add: &mut impl FnMut(&'static str, String)) {
    let rule = facts.declared.and_then(|declared| declared.columns.get(&column.name));
    if rule.is_some_and(|rule| rule.sensitive) {
        return;
    }
    if is_sensitive_name(&column.name) {
        add("sensitive-looking", "named like something of a person: declare as sensitive if it is".into());
    }
    let texts = column.texts.as_ref();
    if let Some(class) = texts.and_then(|texts| {
        let looks = texts.looks_like.as_ref()?;
        PERSONAL.contains(&looks.class).then_some(looks.class)
    }) {
        add("sensitive-looking", format!("its values look like this: {class}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_found() {
        for name in [
            "sex",
            "SEX",
            "native_country",
            "applicantAge",
            "Date of Birth",
            "e_mail_email",
            "personal_status",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in ["essex", "page", "average", "count", "education", "fnlwgt"] {
            assert!(!is_sensitive_name(name), "{name}");
        }
    }
}
