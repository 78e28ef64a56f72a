//! The memory of large answers, used again once nobody holds anything of the answer that was in it.
//!
//! Invariant: memory is handed out only where nobody else can see it, and a channel keeps no more than a few megabytes. (An
//! allocator gives memory of this size back to the system and takes it anew for the next answer, page by page; that costs
//! more than all else that is done with the bytes.)

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

/// Smaller answers are cheap to find memory for.
const SMALLEST: usize = 64 * 1024;
/// What a channel keeps, in bytes.
const MOST_KEPT: usize = 4 * 1024 * 1024;
/// An answer gets no memory of more than so many times its length: what is kept of it would hold on to all of that.
const MOST_SLACK: usize = 2;

/// The memory of the answers of one channel.
#[derive(Default)]
pub(crate) struct AnswerMemory {
    /// The oldest first.
    kept: Mutex<Vec<Kept>>,
}

struct Kept {
    /// Holds the memory; shares it with the answer while that is there.
    hold: BytesMut,
    capacity: usize,
}

/// Memory for one answer.
pub(crate) struct Taken {
    pub(crate) buffer: BytesMut,
    capacity: usize,
}

impl AnswerMemory {
    /// An empty buffer that takes `len` bytes.
    pub(crate) fn take(&self, len: usize) -> Taken {
        if len >= SMALLEST {
            let mut kept = self.kept();
            let fits = |kept: &mut Kept| {
                kept.capacity <= len.saturating_mul(MOST_SLACK) && kept.hold.try_reclaim(len)
            };
            if let Some(index) = kept.iter_mut().position(fits) {
                let Kept { hold, capacity } = kept.remove(index);
                return Taken {
                    buffer: hold,
                    capacity,
                };
            }
        }
        let buffer = BytesMut::with_capacity(len);
        Taken {
            capacity: buffer.capacity(),
            buffer,
        }
    }

    /// The answer, whose memory is used again when it is gone.
    pub(crate) fn keep(&self, taken: Taken) -> BytesMut {
        let Taken {
            mut buffer,
            capacity,
        } = taken;
        if !(SMALLEST..=MOST_KEPT).contains(&capacity) {
            return buffer;
        }
        let answer = buffer.split();
        let mut kept = self.kept();
        kept.push(Kept {
            hold: buffer,
            capacity,
        });
        let mut all: usize = kept.iter().map(|kept| kept.capacity).sum();
        let too_old = kept
            .iter()
            .take_while(|kept| {
                let too_much = all > MOST_KEPT;
                all -= kept.capacity;
                too_much
            })
            .count();
        kept.drain(..too_old);
        answer
    }

    /// A panic elsewhere leaves the list as it was before or after one whole change.
    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(memory: &AnswerMemory, len: usize, fill: u8) -> BytesMut {
        let mut taken = memory.take(len);
        taken.buffer.resize(len, fill);
        memory.keep(taken)
    }

    #[test]
    fn memory_is_used_again_once_the_answer_is_gone_and_not_before() {
        let memory = AnswerMemory::default();
        let first = answer(&memory, 300_000, 1).freeze();
        let place = first.as_ptr();
        let slice = first.slice(1000..2000);
        drop(first);
        let second = answer(&memory, 300_000, 2);
        assert_ne!(
            second.as_ptr(),
            place,
            "a slice of the first is still there"
        );
        assert!(slice.iter().all(|byte| *byte == 1));
        drop(slice);
        let third = answer(&memory, 290_000, 3);
        assert_eq!(third.as_ptr(), place);
        assert!(second.iter().all(|byte| *byte == 2));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let memory = AnswerMemory::default();
        for len in [1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 1000] {
            drop(answer(&memory, len, 0));
            let kept: usize = memory.kept().iter().map(|kept| kept.capacity).sum();
            assert!(kept <= MOST_KEPT, "{kept}");
        }
        assert!(!memory.kept().is_empty());
    }

    #[test]
    fn a_small_answer_does_not_hold_on_to_the_memory_of_a_large_one() {
        let memory = AnswerMemory::default();
        drop(answer(&memory, 4_000_000, 0));
        assert!(memory.take(100_000).buffer.capacity() < 200_000);
        assert!(memory.take(3_000_000).buffer.capacity() >= 3_000_000);
    }
}
