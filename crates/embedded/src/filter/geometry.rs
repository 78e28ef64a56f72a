//! Conditions on geometries in WKT. The geometry library is known to this file alone.
//!
//! Relations are those of the DE-9IM (as OGC Simple Features and GEOS, which Milvus uses). The invariant is that no WKT, however
//! deep or strange its numbers, makes the process fail: nesting is bounded and coordinates are finite before the library sees
//! them.

use std::sync::Arc;

use geo::{CoordsIter, Distance, Euclidean, Geometry, Relate, Validation};
use wkt::TryFromWkt;

/// Depth of nested collections that a WKT may have.
const MAX_NESTING: usize = 16;

/// How a row's geometry must relate to the one of the expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equals,
    Touches,
    Overlaps,
    Crosses,
    Contains,
    Intersects,
    Within,
}

/// A condition on a row's geometry.
#[derive(Debug, Clone)]
pub(super) enum Spatial {
    Relation(Relation, Arc<Geometry<f64>>),
    /// At most so many metres from a point given in degrees of longitude and latitude.
    Distance {
        longitude: f64,
        latitude: f64,
        metres: f64,
    },
    IsValid,
}

/// Reads a WKT.
///
/// # Errors
/// When it is not a WKT, is nested too deeply, or has coordinates that are not finite.
fn parse(text: &str) -> Result<Geometry<f64>, String> {
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(format!(
                "a WKT can be nested at most {MAX_NESTING} levels deep"
            ));
        }
    }
    let geometry = Geometry::<f64>::try_from_wkt_str(text)
        .map_err(|error| format!("'{text}' is not a WKT: {error}"))?;
    if geometry
        .coords_iter()
        .any(|at| !at.x.is_finite() || !at.y.is_finite())
    {
        return Err("the coordinates of a WKT must be finite".into());
    }
    Ok(geometry)
}

/// Checks a geometry that is to be inserted.
///
/// # Errors
/// When the text is not a WKT that filters can read.
pub fn check_wkt(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

impl Spatial {
    pub(super) fn relation(relation: Relation, text: &str) -> Result<Self, String> {
        let geometry = parse(text)?;
        geometry
            .check_validation()
            .map_err(|error| format!("'{text}' is not a valid geometry: {error}"))?;
        Ok(Self::Relation(relation, Arc::new(geometry)))
    }

    pub(super) fn within_distance(text: &str, metres: f64) -> Result<Self, String> {
        match parse(text)? {
            Geometry::Point(point) => Ok(Self::Distance {
                longitude: point.x(),
                latitude: point.y(),
                metres,
            }),
            _ => Err("st_dwithin measures from a point, as in 'POINT (13.4 52.5)'".into()),
        }
    }

    /// Whether the geometry of a row satisfies the condition; one that can't be read does not.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some(row) = std::str::from_utf8(text)
            .ok()
            .and_then(|text| parse(text).ok())
        else {
            return false;
        };
        match self {
            Self::IsValid => row.is_valid(),
            Self::Distance {
                longitude,
                latitude,
                metres,
            } => distance(&row, *longitude, *latitude) <= *metres,
            // Relations are defined for valid geometries only, and the library takes that for granted.
            Self::Relation(..) if !row.is_valid() => false,
            Self::Relation(relation, other) => {
                let matrix = row.relate(&**other);
                match relation {
                    Relation::Equals => matrix.is_equal_topo(),
                    Relation::Touches => matrix.is_touches(),
                    Relation::Overlaps => matrix.is_overlaps(),
                    Relation::Crosses => matrix.is_crosses(),
                    Relation::Contains => matrix.is_contains(),
                    Relation::Intersects => matrix.is_intersects(),
                    Relation::Within => matrix.is_within(),
                }
            }
        }
    }
}

/// Metres between a geometry and a point, by the formulas that Milvus uses: haversine on a sphere of 6,371 km between points;
/// for other shapes the distance in degrees, scaled by the mean length of a degree at the point's latitude.
fn distance(geometry: &Geometry<f64>, longitude: f64, latitude: f64) -> f64 {
    const EARTH_RADIUS: f64 = 6_371_000.0;
    const METRES_PER_DEGREE: f64 = 111_320.0;
    if let Geometry::Point(point) = geometry {
        let (from, to) = (latitude.to_radians(), point.y().to_radians());
        let half_latitude = ((to - from) / 2.0).sin();
        let half_longitude = ((point.x() - longitude).to_radians() / 2.0).sin();
        let chord = half_latitude.powi(2) + from.cos() * to.cos() * half_longitude.powi(2);
        return 2.0 * EARTH_RADIUS * chord.sqrt().atan2((1.0 - chord).max(0.0).sqrt());
    }
    let degrees = Euclidean.distance(
        geometry,
        &Geometry::Point(geo::Point::new(longitude, latitude)),
    );
    degrees * METRES_PER_DEGREE * ((1.0 + latitude.to_radians().cos().powi(2)) / 2.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(relation: Relation, row: &str, other: &str) -> bool {
        Spatial::relation(relation, other)
            .unwrap()
            .matches(row.as_bytes())
    }

    #[test]
    fn relations_are_those_of_simple_features() {
        let square = "POLYGON ((0 0, 2 0, 2 2, 0 2, 0 0))";
        let beside = "POLYGON ((2 0, 4 0, 4 2, 2 2, 2 0))";
        let across = "POLYGON ((1 1, 3 1, 3 3, 1 3, 1 1))";
        assert!(holds(
            Relation::Equals,
            square,
            "POLYGON ((2 0, 2 2, 0 2, 0 0, 2 0))"
        ));
        assert!(
            holds(Relation::Touches, square, beside) && !holds(Relation::Overlaps, square, beside)
        );
        assert!(
            holds(Relation::Overlaps, square, across)
                && holds(Relation::Intersects, square, across)
        );
        assert!(holds(Relation::Crosses, "LINESTRING (-1 1, 3 1)", square));
        assert!(
            holds(Relation::Contains, square, "POINT (1 1)")
                && !holds(Relation::Contains, square, "POINT (2 1)")
        );
        assert!(
            holds(Relation::Within, "POINT (1 1)", square)
                && !holds(Relation::Within, "POINT (9 9)", square)
        );
        assert!(
            !Spatial::IsValid.matches(b"POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))")
                && Spatial::IsValid.matches(square.as_bytes())
        );
    }

    #[test]
    fn distances_are_in_metres() {
        let near = |metres| Spatial::within_distance("POINT (13.4050 52.5200)", metres).unwrap();
        // Berlin to Hamburg, about 255 km.
        assert!(
            near(260_000.0).matches(b"POINT (9.9937 53.5511)")
                && !near(250_000.0).matches(b"POINT (9.9937 53.5511)")
        );
        assert!(near(0.0).matches(b"LINESTRING (13.4050 52.5200, 14 53)"));
        assert!(Spatial::within_distance("LINESTRING (0 0, 1 1)", 1.0).is_err());
    }

    #[test]
    fn hostile_texts_are_errors() {
        let deep = "GEOMETRYCOLLECTION(".repeat(100_000);
        for text in [
            deep.as_str(),
            "POINT (NaN 1)",
            "POINT (1e999 0)",
            "POINT",
            "",
            "POLYGON ((0 0, 1 1)",
        ] {
            assert!(check_wkt(text).is_err());
        }
    }

    fn shape() -> impl Strategy<Value = String> {
        let at = (-3i8..4, -3i8..4).prop_map(|(x, y)| format!("{x} {y}"));
        let ring = prop::collection::vec(at.clone(), 0..6).prop_map(|mut points| {
            points.extend(points.first().cloned());
            format!("({})", points.join(", "))
        });
        prop_oneof![
            at.clone().prop_map(|at| format!("POINT ({at})")),
            prop::collection::vec(at, 1..5)
                .prop_map(|points| format!("LINESTRING ({})", points.join(", "))),
            prop::collection::vec(ring, 0..3)
                .prop_map(|rings| format!("POLYGON ({})", rings.join(", "))),
        ]
    }

    proptest! {
        #[test]
        fn no_shape_makes_a_relation_panic(row in shape(), other in shape()) {
            if let Ok(spatial) = Spatial::relation(Relation::Overlaps, &other) {
                spatial.matches(row.as_bytes());
                Spatial::IsValid.matches(row.as_bytes());
                Spatial::within_distance("POINT (0 0)", 1e6).unwrap().matches(row.as_bytes());
            }
        }
    }
}
