//! The pictures of the load: those of the data, and what is done to them.

/// An intensity that no scanner of the data set gives.
const SATURATED: f32 = 40.0;
/// Brightest intensity of the data set.
const BRIGHTEST: f32 = 16.0;

/// How far apart pictures that follow each other are in the data. The data keeps those of one writer together, whose hand is a
/// shift of its own; clients come in no such order. Coprime to the number of pictures, so that each has its turn.
const STRIDE: usize = 1001;

/// What the pictures of a burst look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No requests at all.
    Silent,
    /// Pictures of the data set.
    Clean,
    /// The same, each with a few saturated pixels.
    Saturated,
    /// The same as negatives.
    Inverted,
}

/// A picture of the data and the digit that was meant.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Picture {
    pub pixels: Vec<f32>,
    pub digit: Option<i64>,
}

/// The pictures of a CSV file: `pixel_*` columns first, `digit` somewhere after them.
pub(super) fn read(csv: &[u8]) -> anyhow::Result<Vec<Picture>> {
    let text = std::str::from_utf8(csv)?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let pixels = header.iter().filter(|name| name.starts_with("pixel_")).count();
    let digit = header.iter().position(|name| *name == "digit");
    let mut pictures = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Result<Vec<f32>, _> = line.split(',').map(|cell| cell.trim().parse()).collect();
        let cells = cells?;
        let digit = digit.and_then(|place| cells.get(place)).map(|digit| *digit as i64);
        pictures.push(Picture { pixels: cells.into_iter().take(pixels).collect(), digit });
    }
    anyhow::ensure!(!pictures.is_empty(), "no pictures in the data");
    Ok(pictures)
}

/// Picture `number` of the load; the same number gives the same picture. What is changed has no digit that was meant.
pub(super) fn picture(pictures: &[Picture], number: usize, shape: Shape) -> Picture {
    let place = number % pictures.len().max(1) * STRIDE % pictures.len().max(1);
    let mut picture = pictures.get(place).cloned().unwrap_or_default();
    match shape {
        Shape::Saturated => {
            for pixel in picture.pixels.iter_mut().skip(number % 7).step_by(21) {
                *pixel = SATURATED;
            }
            picture.digit = None;
        }
        Shape::Inverted => {
            picture.pixels.iter_mut().for_each(|pixel| *pixel = BRIGHTEST - *pixel);
            picture.digit = None;
        }
        Shape::Silent | Shape::Clean => {}
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures() -> Vec<Picture> {
        vec![Picture { pixels: vec![1.0; 64], digit: Some(3) }]
    }

    #[test]
    fn what_is_changed_is_so_in_every_picture_and_has_no_digit() {
        for number in 0..100 {
            let saturated = picture(&pictures(), number, Shape::Saturated);
            assert!(saturated.pixels.contains(&SATURATED) && saturated.pixels.contains(&1.0), "{number}");
            assert_eq!(saturated.digit, None);
        }
        let inverted = picture(&pictures(), 3, Shape::Inverted);
        assert_eq!(inverted, Picture { pixels: vec![15.0; 64], digit: None });
        assert_eq!(picture(&pictures(), 3, Shape::Clean), pictures()[0]);
    }

    /// The 1797 pictures of the data come in turn, and a few hundred in a row are from all over it.
    #[test]
    fn pictures_are_scattered_and_each_has_its_turn() {
        let of = |digit| Picture { digit: Some(digit), ..Picture::default() };
        let all: Vec<Picture> = (0..1797).map(of).collect();
        let places = |numbers: std::ops::Range<usize>| -> Vec<i64> {
            numbers.filter_map(|number| picture(&all, number, Shape::Clean).digit).collect()
        };
        let mut turn = places(5_000..6_797);
        turn.sort_unstable();
        assert_eq!(turn, (0..1797).collect::<Vec<i64>>());
        let early = places(300..900).into_iter().filter(|place| *place < 599).count();
        assert!((190..=210).contains(&early), "{early} of 600 are of the first third");
    }
}
