//! Signatures: a version's list of digests, signed by the cloud that published it.
//!
//! What is signed is one line of text for each file, sorted by path: the SHA-256 in hex, two
//! spaces, the path; before them one line with the item's reference. `sha256sum --check` reads
//! the file lines.
//!
//! Always true: the same list gives the same bytes. Absent on purpose: keeping the key; the caller
//! stores it sealed.

use std::fmt::Write as _;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use formats::archive::Entry;
use types::Reference;

/// A key that signs, or a signature that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    #[error("the system gave no random bytes")]
    Random,
    #[error("the signing key is broken")]
    Key,
    #[error("the signature does not fit the list of digests")]
    Mismatch,
}

/// Signs lists of digests.
pub struct Signer {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({}, key withheld)", hex::encode(self.public_key()))
    }
}

impl Signer {
    /// Makes a key, as PKCS#8 bytes that the caller keeps secret.
    ///
    /// # Errors
    ///
    /// [`SigningError::Random`].
    pub fn generate() -> Result<Vec<u8>, SigningError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        document.map(|bytes| bytes.as_ref().to_vec()).map_err(|_| SigningError::Random)
    }

    /// Takes a key made by [`Signer::generate`].
    ///
    /// # Errors
    ///
    /// [`SigningError::Key`].
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, SigningError> {
        Ed25519KeyPair::from_pkcs8(bytes).map(|pair| Self { pair }).map_err(|_| SigningError::Key)
    }

    /// The key that signatures are checked with: 32 bytes.
    pub fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs a version's list of digests: 64 bytes.
    pub fn sign(&self, version: &Reference, files: &[Entry]) -> Vec<u8> {
        self.pair.sign(digest_list(version, files).as_bytes()).as_ref().to_vec()
    }
}

/// Checks a signature.
///
/// # Errors
///
/// [`SigningError::Mismatch`].
pub fn verify(
    public_key: &[u8],
    signature: &[u8],
    version: &Reference,
    files: &[Entry],
) -> Result<(), SigningError> {
    let key = UnparsedPublicKey::new(&ED25519, public_key);
    let list = digest_list(version, files);
    key.verify(list.as_bytes(), signature).map_err(|_| SigningError::Mismatch)
}

fn digest_list(version: &Reference, files: &[Entry]) -> String {
    let mut sorted: Vec<&Entry> = files.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    let mut text = format!("# {version}\n");
    for file in sorted {
        let _ = writeln!(text, "{}  {}", file.sha256, file.path);
    }
    text
}

#[cfg(test)]
mod tests {
    use types::Digest;

    use super::*;

    #[test]
    fn a_signature_holds_for_its_list_and_for_no_other() {
        let signer = Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap();
        let version: Reference = "acme/model@1".parse().unwrap();
        let entry = |path: &str, byte| Entry {
            path: path.to_owned(),
            bytes: 1,
            executable: false,
            sha256: Digest([byte; 32]),
        };
        let files = [entry("b", 1), entry("a", 2)];
        let signature = signer.sign(&version, &files);
        let reordered = [entry("a", 2), entry("b", 1)];
        assert_eq!(verify(signer.public_key(), &signature, &version, &reordered), Ok(()));
        let changed = [entry("a", 2), entry("b", 3)];
        let other: Reference = "acme/model@2".parse().unwrap();
        for (version, files) in [(&version, &changed[..]), (&other, &files[..])] {
            let result = verify(signer.public_key(), &signature, version, files);
            assert_eq!(result, Err(SigningError::Mismatch));
        }
    }
}
