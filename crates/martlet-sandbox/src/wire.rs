//! What the pool and its workers say to each other: frames on a worker's stdin and stdout.
//!
//! A frame is its length, the length of a JSON message, the message, and an attachment for what is bytes
//! already. Lengths are 32 bits, little-endian.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use martlet_core::code::{CallResult, CodeEnd};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::engine::{Setup, Wait};

/// Bumped when messages change their meaning; pool and worker have to agree.
pub(crate) const PROTOCOL: u32 = 2;
/// The bytes of one frame: above what a saved session may have.
const MAX_FRAME: usize = 64 << 20;
const READ_BYTES: usize = 64 << 10;

/// What the pool tells a worker.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToWorker {
    /// What the programs from now on may use.
    Setup { setup: Setup },
    /// Run a program after the variables were set; the attachment is the saved session, if there is one.
    Start { code: String, variables: Arc<Map<String, Value>>, saved: bool },
    /// Go on with the program that waits in this worker.
    Resume { results: Vec<CallResult> },
    /// Restore the waiting program in the attachment, and go on with it.
    Restore { results: Vec<CallResult> },
    /// Hand over the program that waits in this worker.
    Save,
    /// Drop the program that waits in this worker.
    Forget,
}

/// What a worker tells the pool.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromWorker {
    /// The first frame.
    Ready { protocol: u32, dump_version: u16 },
    /// The program printed something.
    Printed { text: String },
    /// The program waits.
    Waiting { wait: Wait },
    /// The program ended; the attachment is the saved session, if there is one.
    Ended { end: Box<CodeEnd>, saved: bool, resident_bytes: u64 },
    /// The attachment is the program that waited.
    Saved,
    /// The program that waited cannot be saved, and is gone.
    NotSaved { reason: String },
    /// The request could not be performed.
    Refused { reason: String },
}

/// A frame ready to be written.
pub(crate) fn encode(message: &impl Serialize, attachment: &[u8]) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 8];
    serde_json::to_writer(&mut frame, message)?;
    let message_len = frame.len() - 8;
    let len = 4 + message_len + attachment.len();
    if len > MAX_FRAME {
        let problem = format!("a frame of {} MiB, {} are allowed", len >> 20, MAX_FRAME >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
    }
    frame.extend_from_slice(attachment);
    // Both fit into 32 bits: see the check above.
    let lengths = ((len as u64) | ((message_len as u64) << 32)).to_le_bytes();
    if let Some(head) = frame.first_chunk_mut::<8>() {
        *head = lengths;
    }
    Ok(frame)
}

/// Writes a frame.
pub(crate) fn write(output: &mut impl Write, message: &impl Serialize, attachment: &[u8]) -> io::Result<()> {
    output.write_all(&encode(message, attachment)?)?;
    output.flush()
}

/// Puts frames together from what arrives.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    arrived: BytesMut,
}

impl Decoder {
    /// The next frame, if all of it is here.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Bytes)>> {
        let garbled = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let Some(&[a, b, c, d, e, f, g, h]) = self.arrived.first_chunk::<8>() else { return Ok(None) };
        let len = u32::from_le_bytes([a, b, c, d]) as usize;
        let message_len = u32::from_le_bytes([e, f, g, h]) as usize;
        if !(4..=MAX_FRAME).contains(&len) || message_len > len - 4 {
            return Err(garbled("what arrived is not a frame"));
        }
        if self.arrived.len() < 4 + len {
            self.arrived.reserve(4 + len - self.arrived.len());
            return Ok(None);
        }
        let mut frame = self.arrived.split_to(4 + len);
        frame.advance(8);
        let message = frame.split_to(message_len);
        Ok(Some((serde_json::from_slice(&message)?, frame.freeze())))
    }

    /// Reads once; `false` at the end of the input.
    pub(crate) fn read(&mut self, input: &mut impl Read) -> io::Result<bool> {
        let mut chunk = [0; READ_BYTES];
        let count = loop {
            match input.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.arrived.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_fragmentation() {
        let frame = encode(&FromWorker::Printed { text: "hällo".into() }, b"attached").unwrap();
        let two = [frame.clone(), frame].concat();
        for size in 1..two.len() {
            let mut decoder = Decoder::default();
            let mut seen = 0;
            for chunk in two.chunks(size) {
                decoder.read(&mut &*chunk).unwrap();
                while let Some((message, attachment)) = decoder.next::<FromWorker>().unwrap() {
                    assert!(matches!(message, FromWorker::Printed { text } if text == "hällo"));
                    assert_eq!(&attachment[..], b"attached");
                    seen += 1;
                }
            }
            assert_eq!(seen, 2, "chunks of {size}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_frame() {
        let mut decoder = Decoder::default();
        decoder.read(&mut &b"Usage: worker [OPTIONS]"[..]).unwrap();
        assert!(decoder.next::<FromWorker>().is_err());
    }
}
