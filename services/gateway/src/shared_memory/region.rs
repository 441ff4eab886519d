//! One region: a part of a shared memory object.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use engine::FieldError;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::wire::shown;

/// Bytes of an object's name at most, as the host has it.
const LONGEST: usize = 255;

/// A part of an object that is open as long as it is registered, whatever becomes of its name.
#[derive(Debug)]
pub struct Region {
    key: String,
    offset: u64,
    byte_size: u64,
    object: File,
}

fn bad(field: &str, description: impl Into<String>) -> FieldError {
    FieldError { field: field.into(), description: description.into() }
}

impl Region {
    /// Opens `byte_size` bytes of the object `key`, from `offset`; `root` is the folder of all objects.
    ///
    /// # Errors
    /// Every field that is wrong. Nothing is said of files that are no shared memory objects.
    pub fn open(root: &Path, key: &str, offset: u64, byte_size: u64) -> Result<Self, Vec<FieldError>> {
        let (mut wrong, mut object) = (Vec::new(), None);
        match name(key).and_then(|name| open(&root.join(name))) {
            Ok(opened) => object = Some(opened),
            Err(why) => wrong.push(bad("key", format!("{:?} {why}", shown(key)))),
        }
        if byte_size == 0 {
            wrong.push(bad("byte_size", "0, required 1 or more"));
        }
        if let Some((_, length)) = &object
            && offset.checked_add(byte_size).is_none_or(|end| end > *length)
        {
            let why = format!("{byte_size} from offset {offset}, the object has {length} bytes");
            wrong.push(bad("byte_size", why));
        }
        match object {
            Some((object, _)) if wrong.is_empty() => {
                Ok(Self { key: key.to_owned(), offset, byte_size, object })
            }
            _ => Err(wrong),
        }
    }

    /// The object's name, as it was registered.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Where the region begins in the object.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the region.
    pub fn byte_size(&self) -> u64 {
        self.byte_size
    }

    /// Where `length` bytes from `offset` stand in the object, which must still have them.
    fn place(&self, offset: u64, length: u64) -> Result<u64, String> {
        let end = offset.checked_add(length).filter(|end| *end <= self.byte_size);
        let end = end.ok_or_else(|| {
            format!("{length} bytes from offset {offset}, the region has {}", self.byte_size)
        })?;
        let has = self.object.metadata().map_err(|error| format!("cannot be looked at: {error}"))?.len();
        // The sum of offset and size held when it was registered.
        match self.offset.checked_add(end) {
            Some(end) if end <= has => Ok(self.offset + offset),
            _ => Err(format!("has {has} bytes now, and does not hold the region any more")),
        }
    }

    /// Whether `length` bytes from `offset` are in the region.
    ///
    /// # Errors
    /// What is wrong.
    pub fn holds(&self, offset: u64, length: u64) -> Result<(), String> {
        self.place(offset, length).map(drop)
    }

    /// A copy of `length` bytes from `offset`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn read(&self, offset: u64, length: u64) -> Result<Bytes, String> {
        let at = self.place(offset, length)?;
        let length = usize::try_from(length).map_err(|_| format!("{length} bytes are too many"))?;
        let mut bytes = vec![0; length];
        self.object.read_exact_at(&mut bytes, at).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(bytes.into())
    }

    /// Puts bytes at `offset`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), String> {
        let at = self.place(offset, bytes.len() as u64)?;
        self.object.write_all_at(bytes, at).map_err(|error| format!("cannot be written: {error}"))
    }
}

/// The object's name without the slash that POSIX puts before it; it never leads to another folder.
fn name(key: &str) -> Result<&str, String> {
    let name = key.strip_prefix('/').unwrap_or(key);
    let plain = !matches!(name, "" | "." | "..") && !name.contains(['/', '\0']);
    if plain && name.len() <= LONGEST {
        Ok(name)
    } else {
        Err(format!("is no name of a shared memory object: 1 to {LONGEST} bytes without a slash inside"))
    }
}

/// The object and its length. A link is not followed, and what is no plain file is neither opened for long nor waited for.
fn open(path: &Path) -> Result<(File, u64), String> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => "is not there".to_owned(),
        Errno::ACCESS | Errno::PERM => "may not be read and written by this server".to_owned(),
        Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV => "is no shared memory object".to_owned(),
        error => format!("cannot be opened: {error}"),
    })?;
    let file = File::from(opened);
    match file.metadata() {
        Ok(kind) if kind.is_file() => Ok((file, kind.len())),
        _ => Err("is no shared memory object".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    fn fields(root: &Path, key: &str, offset: u64, byte_size: u64) -> Vec<String> {
        let bad = Region::open(root, key, offset, byte_size).unwrap_err();
        bad.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn bytes_go_in_and_out_of_the_region_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("k");
        std::fs::write(&path, [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
        let region = Region::open(root.path(), "/k", 2, 4).unwrap();
        assert_eq!(region.read(0, 4).unwrap().as_ref(), [3, 4, 5, 6]);
        assert_eq!(region.read(3, 1).unwrap().as_ref(), [6]);
        assert_eq!(region.read(4, 0).unwrap().len(), 0);
        for (offset, length) in [(0, 5), (4, 1), (u64::MAX, 1), (1, u64::MAX)] {
            assert!(region.read(offset, length).is_err(), "{offset} {length}");
            assert!(region.holds(offset, length).is_err(), "{offset} {length}");
        }
        region.write(1, &[9, 9]).unwrap();
        assert!(region.write(3, &[0, 0]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), [1, 2, 3, 9, 9, 6, 7, 8]);
        // Its caller may cut it at any time: it is never made longer again.
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4).unwrap();
        assert!(region.read(0, 4).unwrap_err().contains("has 4 bytes now"));
        assert!(region.write(2, &[0]).is_err());
        assert_eq!(region.read(0, 2).unwrap().as_ref(), [3, 9], "this part is still there");
        assert_eq!(region.read(1, 2).unwrap_err(), "has 4 bytes now, and does not hold the region any more");
        assert_eq!(std::fs::read(&path).unwrap().len(), 4);
    }

    #[test]
    fn what_is_not_in_the_object_is_no_region() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("k"), [0; 8]).unwrap();
        assert_eq!(fields(root.path(), "/k", 4, 5), ["byte_size: 5 from offset 4, the object has 8 bytes"]);
        assert_eq!(fields(root.path(), "/k", u64::MAX, 2).len(), 1);
        assert_eq!(fields(root.path(), "/k", 0, 0), ["byte_size: 0, required 1 or more"]);
        assert_eq!(fields(root.path(), "/none", 0, 1), ["key: \"/none\" is not there"]);
    }

    #[test]
    fn no_name_leads_to_another_file() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("shm");
        std::fs::create_dir_all(root.join("folder")).unwrap();
        std::fs::write(outer.path().join("secret"), [0; 8]).unwrap();
        std::fs::write(root.join("folder/k"), [0; 8]).unwrap();
        symlink(outer.path().join("secret"), root.join("link")).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        let long = "k".repeat(300);
        for key in ["", "/", ".", "/..", "../secret", "/../secret", "//k", "folder/k", "a\0b", &long] {
            assert!(fields(&root, key, 0, 1)[0].contains("is no name"), "{key:?}");
        }
        for key in ["/link", "/folder", "/socket"] {
            assert!(fields(&root, key, 0, 1)[0].contains("is no shared memory object"), "{key:?}");
        }
    }
}
