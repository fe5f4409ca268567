//! Objects: values that have to be written as JSON objects.
//!
//! What derives `Deserialize` would also take a list of its fields, which no document allows.
//! Always true: a list is refused where an object is due. Absent on purpose: what objects hold.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that has to be written as a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// For `deserialize_with` of a member that is an object.
///
/// # Errors
///
/// Where it is none.
pub fn only<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Object::deserialize(from).map(|Object(it)| it)
}

/// For `deserialize_with` of a member that is an object or null.
///
/// # Errors
///
/// Where it is neither.
pub fn optional<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(from)?.map(|Object(it)| it))
}

#[cfg(test)]
mod tests {
    use crate::streams::LabelEvents;

    #[test]
    fn a_list_is_no_object_at_any_depth() {
        let read = |text: &str| serde_json::from_str::<super::Object<LabelEvents>>(text);
        for good in [
            r#"{"labels":[]}"#,
            r#"{"rule":null}"#,
            r#"{"rule":{"selection":{"zone":"UTC"},"label":"x"}}"#,
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in
            ["[[]]", r#"{"rule":[{},"x"]}"#, r#"{"rule":{"selection":[null,null],"label":"x"}}"#]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
