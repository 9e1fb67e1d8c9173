//! Whether a folder is on a file system of another machine, where locks and shared memory do not hold.

use std::path::Path;

/// The kind of network file system that the folder is on, if it is and the system says so (Linux).
pub(super) fn file_system(folder: &Path) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let folder = folder.canonicalize().ok()?;
    let kind = kind_of(&mounts, &folder)?;
    is_network(&kind).then_some(kind)
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
