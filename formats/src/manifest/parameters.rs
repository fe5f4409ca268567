//! Parameters: what an algorithm can be told, and whether a value fits.
//!
//! Always true: after `resolve_parameters`, every parameter of the algorithm has a value that fits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::{Rule, broken, is_plain_name};
use super::{Error, Manifest, Parameter, ParameterType};

impl Manifest {
    /// The values a run gets: what is given, and defaults for the rest.
    ///
    /// # Errors
    ///
    /// [`Error::Parameter`] on a name the algorithm does not know, a value that does not fit, or a
    /// parameter without default that is not given.
    pub fn resolve_parameters(
        &self,
        given: &BTreeMap<String, Value>,
    ) -> Result<BTreeMap<String, Value>, Error> {
        for (name, value) in given {
            let Some(parameter) = self.parameters.get(name) else {
                let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
                return Err(Error::Parameter {
                    name: name.chars().take(80).collect(),
                    problem: "the algorithm has no such parameter".to_owned(),
                    cure: match known[..] {
                        [] => "give none".to_owned(),
                        _ => format!("use {}", known.join(", ")),
                    },
                });
            };
            parameter.admits(value).map_err(|(problem, cure)| Error::Parameter {
                name: name.clone(),
                problem,
                cure,
            })?;
        }
        let mut resolved = BTreeMap::new();
        for (name, parameter) in &self.parameters {
            let value = given.get(name).or(parameter.default.as_ref());
            let Some(value) = value else {
                return Err(Error::Parameter {
                    name: name.clone(),
                    problem: "it has no value and no default".to_owned(),
                    cure: "give it one".to_owned(),
                });
            };
            resolved.insert(name.clone(), value.clone());
        }
        Ok(resolved)
    }
}

impl Parameter {
    /// Whether a value fits; otherwise what is wrong, and the cure.
    fn admits(&self, value: &Value) -> Result<(), (String, String)> {
        let (fits, cure) = match self.parameter_type {
            ParameterType::Integer => (value.is_i64() || value.is_u64(), "give a whole number"),
            ParameterType::Number => (value.is_number(), "give a number"),
            ParameterType::Boolean => (value.is_boolean(), "give true or false"),
            ParameterType::Text => (value.is_string(), "give a text in quotes"),
        };
        let shown: String = value.to_string().chars().take(80).collect();
        if !fits {
            let wanted = match self.parameter_type {
                ParameterType::Integer => "a whole number",
                ParameterType::Number => "a number",
                ParameterType::Boolean => "true or false",
                ParameterType::Text => "a text",
            };
            return Err((format!("{shown} is not {wanted}"), cure.to_owned()));
        }
        if let Some(number) = value.as_f64() {
            if self.min.is_some_and(|min| number < min) {
                let min = self.min.unwrap_or_default();
                return Err((format!("{shown} is too small"), format!("use {min} or more")));
            }
            if self.max.is_some_and(|max| number > max) {
                let max = self.max.unwrap_or_default();
                return Err((format!("{shown} is too large"), format!("use {max} or less")));
            }
        }
        let chosen = |text| self.choices.iter().any(|choice| choice == text);
        if !self.choices.is_empty() && !value.as_str().is_some_and(chosen) {
            let cure = format!("use {}", self.choices.join(", "));
            return Err((format!("{shown} is not one of the choices"), cure));
        }
        Ok(())
    }
}

/// The rules of a parameter itself.
pub(super) fn check_parameter(name: &str, parameter: &Parameter) -> Rule {
    let key = format!("parameters.{name}");
    if !is_plain_name(name) {
        let problem = format!("{name:?} is not a parameter's name");
        return Err(broken(key, problem, "use 1 to 64 of letters, digits, -, _ and ."));
    }
    let is_number =
        matches!(parameter.parameter_type, ParameterType::Integer | ParameterType::Number);
    let bounds = [("min", parameter.min), ("max", parameter.max)];
    for (bound, value) in bounds {
        if value.is_some_and(|value| !is_number || !value.is_finite()) {
            let cure = "remove it, or make the type integer or number";
            return Err(broken(format!("{key}.{bound}"), "only numbers have bounds", cure));
        }
    }
    if !parameter.choices.is_empty() && parameter.parameter_type != ParameterType::Text {
        let cure = "remove them, or make the type text";
        return Err(broken(format!("{key}.choices"), "only texts have choices", cure));
    }
    if let Some(default) = &parameter.default
        && let Err((problem, cure)) = parameter.admits(default)
    {
        return Err(broken(format!("{key}.default"), problem, cure));
    }
    Ok(())
}
