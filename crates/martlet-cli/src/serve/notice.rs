//! The file in which a server tells the other commands of this machine where it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use martlet_server::keys::Secret;
use serde::{Deserialize, Serialize};

use crate::exit::{Exit, Failure};

const FILE: &str = "server.json";
/// The version of the file. Another version is not read.
const SCHEMA: u32 = 1;

/// What a server says of itself. The token lets do everything, for as long as the process lives.
#[derive(Serialize, Deserialize)]
pub(super) struct Notice {
    schema: u32,
    address: SocketAddr,
    pid: u32,
    token: String,
}

/// The file, which goes when this does.
pub(super) struct Written(PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // Left behind it does no harm: its token is valid nowhere.
        let _ = fs::remove_file(&self.0);
    }
}

impl Notice {
    /// What a server at this address says, and its token.
    pub(super) fn new(address: SocketAddr) -> Result<(Self, Secret), Failure> {
        let mut bits = [0_u8; 32];
        getrandom::fill(&mut bits).map_err(|error| {
            Failure::host("the system gives no random numbers", anyhow::Error::new(error))
        })?;
        let token: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Secret::new(token.as_str());
        Ok((Self { schema: SCHEMA, address, pid: std::process::id(), token }, secret))
    }

    /// Writes it into the folder of the store, for this user alone to read.
    pub(super) fn write(&self, folder: &Path) -> Result<Written, Failure> {
        let path = folder.join(FILE);
        let failed = |error: io::Error| Failure::host(format!("cannot write {}", path.display()), error);
        let text = serde_json::to_string(self).map_err(|error| Failure::host("cannot write JSON", error))?;
        // A file that a killed server left may be readable by others: it is not written over but replaced.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = create(&path).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Written(path))
    }

    /// What the server of a folder said.
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let unreachable = |error: anyhow::Error| {
            let message = format!(
                "a server has the store in {} open and cannot be asked ({error}): end it, or wait until it has begun",
                folder.display()
            );
            Failure::new(Exit::Unreachable, error.context(message))
        };
        let text = fs::read_to_string(&path).map_err(|error| unreachable(error.into()))?;
        let notice: Self = serde_json::from_str(&text).map_err(|error| unreachable(error.into()))?;
        if notice.schema != SCHEMA {
            return Err(unreachable(anyhow::anyhow!("it is of another version of martlet")));
        }
        Ok(notice)
    }

    /// Where this machine reaches it.
    pub(super) fn url(&self) -> String {
        let host = match self.address.ip() {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        format!("http://{}", SocketAddr::new(host, self.address.port()))
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
