//! On which file system a folder is, and whether that is one of another machine, where locks and shared memory do not
//! hold.

use std::path::Path;

/// The file system that a folder is on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// What the system calls its kind: `ext4`, `nfs4`.
    pub kind: String,
    /// Whether it is one of another machine: a store does not belong there.
    pub is_network: bool,
}

impl FileSystem {
    /// The file system that a folder is on, or would be; nothing if the system does not say so, which Linux alone does.
    pub fn of(folder: &Path) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let folder = std::path::absolute(folder).ok()?;
        let folder = folder.ancestors().find_map(|folder| folder.canonicalize().ok())?;
        let kind = kind_of(&mounts, &folder)?;
        Some(Self { is_network: is_network(&kind), kind })
    }
}

/// The kind of the file system that was mounted last at the deepest place above the folder.
fn kind_of(mounts: &str, folder: &Path) -> Option<String> {
    let mount = |line: &str| {
        // See proc(5): … mount point at the fifth place … `-` kind …
        let (before, after) = line.split_once(" - ")?;
        let place = unescaped(before.split(' ').nth(4)?);
        let kind = after.split(' ').next()?;
        folder.starts_with(&place).then(|| (Path::new(&place).components().count(), kind.to_owned()))
    };
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Spaces and the like are written as three octal digits.
fn unescaped(place: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(place.to_owned(), |place, (escape, char)| place.replace(escape, char))
}

fn is_network(kind: &str) -> bool {
    matches!(
        kind,
        "nfs"
            | "nfs4"
            | "cifs"
            | "smb3"
            | "smbfs"
            | "ncpfs"
            | "afs"
            | "ceph"
            | "lustre"
            | "9p"
            | "gfs2"
            | "ocfs2"
    ) || matches!(
        kind.strip_prefix("fuse."),
        Some("sshfs" | "glusterfs" | "rclone" | "s3fs" | "gcsfuse" | "ceph-fuse" | "davfs" | "juicefs")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 30 0:41 / /home/ann/my\\040disk rw master:3 - xfs /dev/sdb rw
32 22 0:42 / /mnt/cloud rw - fuse.sshfs ann@host: rw
a line that is none
";

    #[test]
    fn the_deepest_mount_above_the_folder_counts() {
        let kind = |folder: &str| kind_of(MOUNTS, Path::new(folder)).unwrap();
        assert_eq!(kind("/var/lib"), "ext4");
        assert_eq!(kind("/homeless"), "ext4");
        assert_eq!(kind("/home/bob/data"), "nfs4");
        assert_eq!(kind("/home/ann/my disk/data"), "xfs");
        assert_eq!(kind("/mnt/cloud"), "fuse.sshfs");
    }

    #[test]
    fn disks_of_other_machines_are_known_by_their_kind() {
        assert!(["nfs4", "cifs", "fuse.sshfs", "9p"].into_iter().all(is_network));
        assert!(!["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuse.ntfs-3g"].into_iter().any(is_network));
    }
}
