//! Takes out of a release what writes values for people who debug: nobody reads it there, and its texts and tables are large.
//!
//! The compiler does it for derived implementations of [`std::fmt::Debug`] and for `{:?}` (`-Zfmt-debug=none`). What is
//! written by hand stays all the same, where an error is kept as `dyn Error`: of such a function the answer is left, `Ok`.

use anyhow::{Context, Result, ensure};
use walrus::{FunctionBuilder, FunctionId, FunctionKind, Module, ModuleConfig, ValType};

/// What all their names end with, after the type's.
const DEBUG: (&str, &str) = (" as core", "::fmt::Debug>::fmt");

/// A module as wasm-bindgen left it, with the names of its functions, without what its functions for debugging do.
pub(crate) fn without_debug(module: &[u8]) -> Result<Vec<u8>> {
    let mut module = ModuleConfig::new().parse(module).context("wasm-bindgen's module cannot be read")?;
    let functions: Vec<_> = module.funcs.iter_local().map(|(id, _)| id).filter(|id| is_debug(&module, *id)).collect();
    ensure!(!functions.is_empty(), "nothing of the module is for debugging: are the names of its functions gone?");
    for function in functions {
        let ty = module.types.get(module.funcs.get(function).ty());
        let (parameters, results) = (ty.params().to_vec(), ty.results().to_vec());
        // What is not an answer in itself was made of several functions that do the same.
        if results != [ValType::I32] {
            continue;
        }
        let arguments = parameters.iter().map(|ty| module.locals.add(*ty)).collect();
        let mut builder = FunctionBuilder::new(&mut module.types, &parameters, &results);
        builder.func_body().i32_const(0);
        module.funcs.get_mut(function).kind = FunctionKind::Local(builder.local_func(arguments));
    }
    walrus::passes::gc::run(&mut module);
    Ok(module.emit_wasm())
}

fn is_debug(module: &Module, function: FunctionId) -> bool {
    let name = module.funcs.get(function).name.as_deref().unwrap_or_default();
    let of_core = name.rsplit_once(DEBUG.0).map(|(_, rest)| rest);
    // A compiler writes the crate's hash behind its name.
    let path =
        of_core.map(|rest| rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(rest, |(_, path)| path));
    path == Some(DEBUG.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A module in which each of these functions, all exported by their name, calls `escape`.
    fn module(functions: &[&str]) -> Vec<u8> {
        let mut module = Module::with_config(ModuleConfig::new());
        let mut escape = FunctionBuilder::new(&mut module.types, &[], &[ValType::I32]);
        escape.name("escape".to_owned());
        escape.func_body().i32_const(1);
        let escape = escape.finish(Vec::new(), &mut module.funcs);
        for name in functions {
            let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[ValType::I32]);
            builder.name((*name).to_owned()).func_body().call(escape);
            let argument = module.locals.add(ValType::I32);
            let function = builder.finish(vec![argument], &mut module.funcs);
            module.exports.add(name, function);
        }
        module.emit_wasm()
    }

    fn left(functions: &[&str]) -> Vec<String> {
        let module = ModuleConfig::new().parse(&without_debug(&module(functions)).unwrap()).unwrap();
        module.funcs.iter().filter_map(|function| function.name.clone()).collect()
    }

    #[test]
    fn what_writes_values_for_debugging_does_nothing() {
        let debug = "<sequoia_openpgp[0]::packet::Packet as core[1]::fmt::Debug>::fmt";
        assert_eq!(left(&[debug]), [debug], "and what only it needed is gone");
        let display = "<sequoia_openpgp[0]::Error as core[1]::fmt::Display>::fmt";
        let left = left(&[debug, display]);
        assert!(left.iter().any(|name| name == "escape") && left.len() == 3, "{left:?}");
    }

    #[test]
    fn a_module_without_names_is_refused() {
        assert!(without_debug(&module(&["start"])).is_err());
    }
}
