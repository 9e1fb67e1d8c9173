//! Names that nobody can guess.

/// 128 random bits of the operating system.
///
/// Without random numbers nothing here can be safe: the process ends then, as it would at its first TLS connection.
#[expect(clippy::expect_used, reason = "there is nothing to go on with")]
pub(crate) fn random_bits() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    u128::from_ne_bytes(bytes)
}
