//! Random bytes for chips that have no good source of them.

use core::fmt;

use zeroize::Zeroize;

use crate::hash::hmac;
use crate::random::Random;

/// HMAC-DRBG with SHA-256, as NIST SP 800-90A Rev. 1, section 10.1.2, has it, without prediction resistance.
///
/// It is as good as the best of what it was seeded with: a board's is made of the seed that was written with its keys (32
/// bytes), its unique id, and whatever else differs from one start to the next; the server's challenge goes into it before
/// each handshake, and words of the chip's own source where there is one. Without such a source and without memory that
/// outlives a start, whoever reads a board's flash can repeat what it drew.
///
/// The limit of 2^48 requests between two seeds is not counted: at one each microsecond that takes nine years.
#[derive(Clone)]
pub struct Drbg {
    key: [u8; 32],
    value: [u8; 32],
}

impl Drbg {
    /// Makes a generator from its seed: entropy input, nonce and personalization string, one behind the other. At least 48
    /// bytes in all, of which 32 must be secret.
    pub fn new(seed: &[&[u8]]) -> Self {
        let mut new = Self { key: [0; 32], value: [1; 32] };
        new.update(seed);
        new
    }

    /// Mixes in more. It is never worse for that, whoever chose the bytes.
    pub fn reseed(&mut self, more: &[&[u8]]) {
        self.update(more);
    }

    /// Returns true if this generator gives the bytes that NIST's vectors have: to be asked once, before the first use.
    pub fn works() -> bool {
        let mut drbg = Self::new(&[&SELF_TEST.0]);
        drbg.reseed(&[&SELF_TEST.1]);
        let mut out = [0; 128];
        drbg.fill(&mut out);
        drbg.fill(&mut out);
        out == SELF_TEST.2
    }

    /// Fills `out`, with additional input.
    fn generate(&mut self, additional: &[&[u8]], out: &mut [u8]) {
        if !is_empty(additional) {
            self.update(additional);
        }
        for block in out.chunks_mut(32) {
            self.value = hmac(&self.key, &[&self.value]);
            block.copy_from_slice(&self.value[..block.len()]);
        }
        // So that nobody who reads the state later learns what it gave before.
        self.update(additional);
    }

    fn update(&mut self, data: &[&[u8]]) {
        for round in 0..=u8::from(!is_empty(data)) {
            let mut mac = crate::hash::mac(&self.key, &[&self.value, &[round]]);
            data.iter().for_each(|part| hmac::Mac::update(&mut mac, part));
            self.key = hmac::Mac::finalize(mac).into_bytes().into();
            self.value = hmac(&self.key, &[&self.value]);
        }
    }
}

fn is_empty(parts: &[&[u8]]) -> bool {
    parts.iter().all(|part| part.is_empty())
}

impl Random for Drbg {
    fn fill(&mut self, out: &mut [u8]) {
        self.generate(&[], out);
    }
}

impl Drop for Drbg {
    fn drop(&mut self) {
        self.key.zeroize();
        self.value.zeroize();
    }
}

impl fmt::Debug for Drbg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drbg")
    }
}

/// Entropy and nonce, entropy of the reseed, and what the second request gives. NIST CAVS 14.3, drbgvectors_pr_false,
/// HMAC_DRBG.rsp, SHA-256 without personalization and additional input, COUNT = 0.
#[rustfmt::skip]
const SELF_TEST: ([u8; 48], [u8; 32], [u8; 128]) = (
    [
        0x06, 0x03, 0x2c, 0xd5, 0xee, 0xd3, 0x3f, 0x39, 0x26, 0x5f, 0x49, 0xec, 0xb1, 0x42, 0xc5, 0x11,
        0xda, 0x9a, 0xff, 0x2a, 0xf7, 0x12, 0x03, 0xbf, 0xfa, 0xf3, 0x4a, 0x9c, 0xa5, 0xbd, 0x9c, 0x0d,
        0x0e, 0x66, 0xf7, 0x1e, 0xdc, 0x43, 0xe4, 0x2a, 0x45, 0xad, 0x3c, 0x6f, 0xc6, 0xcd, 0xc4, 0xdf,
    ],
    [
        0x01, 0x92, 0x0a, 0x4e, 0x66, 0x9e, 0xd3, 0xa8, 0x5a, 0xe8, 0xa3, 0x3b, 0x35, 0xa7, 0x4a, 0xd7,
        0xfb, 0x2a, 0x6b, 0xb4, 0xcf, 0x39, 0x5c, 0xe0, 0x03, 0x34, 0xa9, 0xc9, 0xa5, 0xa5, 0xd5, 0x52,
    ],
    [
        0x76, 0xfc, 0x79, 0xfe, 0x9b, 0x50, 0xbe, 0xcc, 0xc9, 0x91, 0xa1, 0x1b, 0x56, 0x35, 0x78, 0x3a,
        0x83, 0x53, 0x6a, 0xdd, 0x03, 0xc1, 0x57, 0xfb, 0x30, 0x64, 0x5e, 0x61, 0x1c, 0x28, 0x98, 0xbb,
        0x2b, 0x1b, 0xc2, 0x15, 0x00, 0x02, 0x09, 0x20, 0x8c, 0xd5, 0x06, 0xcb, 0x28, 0xda, 0x2a, 0x51,
        0xbd, 0xb0, 0x38, 0x26, 0xaa, 0xf2, 0xbd, 0x23, 0x35, 0xd5, 0x76, 0xd5, 0x19, 0x16, 0x08, 0x42,
        0xe7, 0x15, 0x8a, 0xd0, 0x94, 0x9d, 0x1a, 0x9e, 0xc3, 0xe6, 0x6e, 0xa1, 0xb1, 0xa0, 0x64, 0xb0,
        0x05, 0xde, 0x91, 0x4e, 0xac, 0x2e, 0x9d, 0x4f, 0x2d, 0x72, 0xa8, 0x61, 0x6a, 0x80, 0x22, 0x54,
        0x22, 0x91, 0x82, 0x50, 0xff, 0x66, 0xa4, 0x1b, 0xd2, 0xf8, 0x64, 0xa6, 0xa3, 0x8c, 0xc5, 0xb6,
        0x49, 0x9d, 0xc4, 0x3f, 0x7f, 0x2b, 0xd0, 0x9e, 0x1e, 0x0f, 0x8f, 0x58, 0x85, 0x93, 0x51, 0x24,
    ],
);

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::Drbg;
    use crate::random::Random;
    use crate::vectors::hex;

    #[test]
    fn it_gives_what_nist_gives_after_a_reseed() {
        assert!(Drbg::works());
    }

    /// CAVS 14.3, drbgvectors_no_reseed, HMAC_DRBG.rsp, SHA-256 without personalization and additional input, COUNT = 0.
    #[test]
    fn it_gives_what_nist_gives_without_a_reseed() {
        let entropy = hex("ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488");
        let nonce = hex("659ba96c601dc69fc902940805ec0ca8");
        let expected = hex("e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89\
             d54fbb978a15b5c443c9ec21036d2460b6f73ebad0dc2aba6e624abf07745bc1\
             07694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668\
             961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8");
        let mut drbg = Drbg::new(&[&entropy, &nonce]);
        let mut out = [0; 128];
        drbg.fill(&mut out);
        drbg.fill(&mut out);
        assert_eq!(out[..], expected);
    }

    /// CAVS 14.3, drbgvectors_pr_false, HMAC_DRBG.rsp, SHA-256 with 256 bits of personalization and of additional input,
    /// COUNT = 14.
    #[test]
    fn it_gives_what_nist_gives_with_everything() {
        let entropy = hex("1353f3543eb1134980e061fc4382394975dbc74f1f1ea5ecc02780a813ac5ee6");
        let nonce = hex("cf584db2447afbe2c8fa0c15575ee391");
        let personalization =
            hex("345b0cc016f2765a8c33fc24f1dcfa182cbe29d7eacbcdc9bcda988521458fc2");
        let reseed = hex("ba60219332a67b95d90ec9de6b8453d4c8af991ae9277461ff3af1b92fc985d3");
        let added = hex("6964b9b9842aec9c7ec2aad926d701f30eec76fe699265ae2a7765d716958069");
        let first = hex("6a03c28a9365c558c33d3fdc7e5ebf0b4d32caac70df71403fd70ced09757528");
        let second = hex("a58546c72a0b4d47c9bd6c19e7cf4ab73b2d7ba36c6c6dc08606f608795ebd29");
        let expected = hex("5b029ef68b6799868b04dc28dbea26bc2fa9fcc8c2b2795aafeed0127b7297fa\
             19a4ef2ba60c42ff8259d5a759f92bd90fdfb27145e82d798bb3ab7fd60bfaef\
             b7aefb116ca2a4fa8b01d96a03c47c8d987fdd33c460e560b138891278313bb6\
             19d0c3c6f9d7c5a37e88fce83e94943705c6ff68e00484e74ad4097b0c9e5f10");
        let mut drbg = Drbg::new(&[&entropy, &nonce, &personalization]);
        drbg.reseed(&[&reseed, &added]);
        let mut out = [0; 128];
        drbg.generate(&[&first], &mut out);
        drbg.generate(&[&second], &mut out);
        assert_eq!(out[..], expected);
    }

    #[test]
    fn a_length_that_is_no_multiple_of_a_block_is_filled() {
        let draw = |len: usize| {
            let mut out = [0; 128];
            Drbg::new(&[&[7; 48]]).fill(&mut out[..len]);
            out
        };
        let whole = draw(128);
        for len in 0..=128 {
            let out = draw(len);
            assert_eq!(out[..len], whole[..len]);
            assert!(out[len..].iter().all(|&byte| byte == 0));
        }
    }

    #[test]
    fn what_it_drew_is_not_drawn_again() {
        let mut drbg = Drbg::new(&[&[7; 48]]);
        let mut drawn: Vec<[u8; 8]> = Vec::new();
        for n in 0..1000 {
            if n % 10 == 0 {
                drbg.reseed(&[b"the same challenge"]);
            }
            let mut out = [0; 8];
            drbg.fill(&mut out);
            drawn.push(out);
        }
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 1000);
    }
}
