//! Instants and durations in ISO 8601, and their sum on the proleptic Gregorian calendar.
//!
//! An instant without offset is UTC. Adding months or years keeps the day of the month and lets it run over as Milvus (by
//! `timegm`) does: 31 January and one month is 3 March, or 2 March in a leap year.

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// A duration whose years, months and days are calendar units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Interval {
    months: i64,
    days: i64,
    seconds: i64,
}

impl Interval {
    /// Reads `P1Y2M3DT4H5M6S`; each part may be absent, not all of them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not an ISO 8601 duration such as 'P1DT2H'");
        let (mut rest, mut in_time) = (text.strip_prefix('P').ok_or_else(wrong)?, false);
        let mut total = Self::default();
        let mut last_rank = 0;
        while !rest.is_empty() {
            if let Some(time) = rest.strip_prefix('T')
                && !in_time
                && !time.is_empty()
            {
                (rest, in_time) = (time, true);
                continue;
            }
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            // Larger numbers could not be added to any instant.
            let amount: i64 = rest[..digits].parse::<u32>().map_err(|_| wrong())?.into();
            let (rank, part, unit) = match (rest.as_bytes().get(digits), in_time) {
                (Some(b'Y'), false) => (1, &mut total.months, 12),
                (Some(b'M'), false) => (2, &mut total.months, 1),
                (Some(b'W'), false) => (3, &mut total.days, 7),
                (Some(b'D'), false) => (4, &mut total.days, 1),
                (Some(b'H'), true) => (5, &mut total.seconds, 3600),
                (Some(b'M'), true) => (6, &mut total.seconds, 60),
                (Some(b'S'), true) => (7, &mut total.seconds, 1),
                _ => return Err(wrong()),
            };
            if rank <= last_rank {
                return Err(wrong());
            }
            last_rank = rank;
            *part += amount * unit;
            rest = &rest[digits + 1..];
        }
        if last_rank == 0 {
            Err(wrong())
        } else {
            Ok(total)
        }
    }

    /// The duration to subtract.
    pub(super) fn negated(self) -> Self {
        Self {
            months: -self.months,
            days: -self.days,
            seconds: -self.seconds,
        }
    }

    /// The instant moved by this duration; `None` outside the range of 64-bit microseconds.
    pub(super) fn added_to(self, micros: i64) -> Option<i64> {
        let (seconds, fraction) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        let moved = if self.months == 0 {
            day
        } else {
            let (year, month, day_of_month) = civil_from_days(day);
            let months = (month - 1).checked_add(self.months)?;
            days_from_civil(
                year.checked_add(months.div_euclid(12))?,
                months.rem_euclid(12) + 1,
                1,
            )? + day_of_month
                - 1
        };
        let seconds = moved
            .checked_add(self.days)?
            .checked_mul(DAY)?
            .checked_add(second)?
            .checked_add(self.seconds)?;
        seconds.checked_mul(MICROS)?.checked_add(fraction)
    }
}

/// Days since 1970-01-01. Years start in March, so that the leap day is the last of its year; 146,097 days are 400 years.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let year = year.checked_sub(i64::from(month <= 2))?;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.checked_mul(146_097)?.checked_add(day_of_era - 719_468)
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Microseconds since 1970-01-01T00:00:00Z of an instant such as `2025-01-31T10:00:00.5+08:00`. The time may be absent, a blank
/// may stand for `T`, and without an offset the instant is UTC.
///
/// # Errors
/// When the text is no such instant, or names a day or time that does not exist.
pub fn parse_instant(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is not an instant such as '2025-01-31T10:00:00+08:00'");
    parse(text.trim()).ok_or_else(wrong)
}

fn parse(text: &str) -> Option<i64> {
    let mut reader = Reader(text.as_bytes());
    let year = reader.number(4)?;
    reader.expect(b"-")?;
    let month = reader.number(2)?;
    reader.expect(b"-")?;
    let day = reader.number(2)?;
    let days = days_from_civil(year, month, day)
        .filter(|days| civil_from_days(*days) == (year, month, day))?;
    let (mut seconds, mut fraction, mut offset) = (0, 0, 0);
    if !reader.0.is_empty() {
        reader.expect(b"Tt ")?;
        let hour = reader.number(2)?;
        reader.expect(b":")?;
        let minute = reader.number(2)?;
        let second = if reader.expect(b":").is_some() {
            reader.number(2)?
        } else {
            0
        };
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        seconds = hour * 3600 + minute * 60 + second;
        fraction = reader.fraction()?;
        offset = reader.offset()?;
    }
    let seconds = days.checked_mul(DAY)?.checked_add(seconds - offset)?;
    seconds.checked_mul(MICROS)?.checked_add(fraction)
}

/// The instant in UTC, as `2025-01-31T10:00:00Z`, with a fraction of up to six digits where there is one.
pub fn format_instant(micros: i64) -> String {
    let (seconds, fraction) = (micros.div_euclid(MICROS), micros.rem_euclid(MICROS));
    let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(day);
    let mut text = format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    if fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text.push('Z');
    text
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, digits: usize) -> Option<i64> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let value = number.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit()
                .then(|| value * 10 + i64::from(byte - b'0'))
        });
        self.0 = rest;
        value
    }

    fn expect(&mut self, one_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = one_of.contains(first).then_some(rest)?;
        Some(*first)
    }

    /// Microseconds of `.123456…`; digits beyond the sixth are dropped.
    fn fraction(&mut self) -> Option<i64> {
        if self.expect(b".,").is_none() {
            return Some(0);
        }
        let digits = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (number, rest) = self.0.split_at_checked(digits).filter(|_| digits > 0)?;
        self.0 = rest;
        Some((0..6).fold(0, |value, at| {
            value * 10 + number.get(at).map_or(0, |byte| i64::from(byte - b'0'))
        }))
    }

    /// Seconds east of UTC, up to the end of the text.
    fn offset(&mut self) -> Option<i64> {
        let sign = match self.expect(b"Zz+-") {
            None => return self.0.is_empty().then_some(0),
            Some(b'Z' | b'z') => return self.0.is_empty().then_some(0),
            Some(b'-') => -1,
            Some(_) => 1,
        };
        let hours = self.number(2)?;
        self.expect(b":");
        let minutes = if self.0.is_empty() {
            0
        } else {
            self.number(2)?
        };
        (self.0.is_empty() && hours <= 18 && minutes <= 59)
            .then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn instants_are_read_to_the_microsecond() {
        assert_eq!(parse_instant("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse_instant("1970-01-01"), Ok(0));
        assert_eq!(
            parse_instant("2025-01-31T10:00:00.5+08:00"),
            Ok(1_738_288_800_500_000)
        );
        assert_eq!(parse_instant("1969-12-31 23:59:59.999999"), Ok(-1));
        for wrong in [
            "",
            "2025",
            "2025-02-29",
            "2025-13-01",
            "2025-01-01T24:00:00",
            "2025-01-01T00:00:00+0",
            "2025-01-01Tx",
        ] {
            assert!(parse_instant(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn calendar_units_run_over_like_timegm() {
        let add = |from: &str, duration: &str| {
            Interval::parse(duration)
                .unwrap()
                .added_to(parse_instant(from).unwrap())
        };
        let at = |text: &str| Some(parse_instant(text).unwrap());
        assert_eq!(add("2025-01-31", "P1M"), at("2025-03-03"));
        assert_eq!(add("2024-02-29", "P1Y"), at("2025-03-01"));
        assert_eq!(add("2024-12-31T23:59:59", "P1DT1S"), at("2025-01-02"));
        assert_eq!(
            Interval::parse("P13M").unwrap().negated().added_to(0),
            at("1968-12-01")
        );
        assert_eq!(Interval::parse("P4000000Y").unwrap().added_to(0), None);
        for wrong in [
            "",
            "P",
            "PT",
            "1D",
            "P1H",
            "P1D1Y",
            "P1DT",
            "P-1D",
            "P1",
            "P99999999999D",
        ] {
            assert!(Interval::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn days_and_dates_are_inverse(days in -1_000_000i64..1_000_000) {
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(days_from_civil(year, month, day), Some(days));
            let (next_year, next_month, next_day) = civil_from_days(days + 1);
            prop_assert!((year, month, day) < (next_year, next_month, next_day));
        }

        #[test]
        fn instants_come_back_from_their_text(micros in -62_000_000_000_000_000i64..250_000_000_000_000_000) {
            prop_assert_eq!(parse_instant(&format_instant(micros)), Ok(micros));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9TPYMDHS:.+Z -]{0,24}|.{0,12}") {
            let _ = parse_instant(&text);
            let _ = Interval::parse(&text).map(|interval| interval.added_to(i64::MAX));
        }
    }
}
