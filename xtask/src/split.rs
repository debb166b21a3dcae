//! Divides the background's module: what the browser compiles at every start of the background, and what an ordinary start
//! does not need: OpenPGP, and the parts of the core that are about other things than set-up and the secret-storage bridge.
//!
//! Both parts share memory, table and globals. The first part has a short function in the place of each function of the
//! second that it calls: it has the second part loaded, by its one import, and calls what that put into the table. So
//! nothing of how the core is written depends on where the line runs, and a line that is drawn badly costs time only.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use walrus::ir::{Call, RefFunc, ReturnCall, Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, ElementItems, ElementKind, ExportItem, FunctionBuilder, FunctionId, FunctionKind, GlobalKind, ImportId,
    ImportKind, ImportedFunction, Module, ModuleConfig, TableId, ValType,
};

/// Whose functions are not needed at an ordinary start: crates, as names of functions begin with them.
const LATER: [&str; 13] = [
    "sequoia_openpgp",
    "buffered_reader",
    "rsa",
    "num_bigint_dig",
    "p256",
    "p384",
    "p521",
    "primeorder",
    "elliptic_curve",
    "ecdsa",
    "regex_automata",
    "regex_syntax",
    "chrono",
];
/// Our own parts that are not: crates, and beginnings of paths in them.
const OWN: [(&str, &str); 10] = [
    ("keystead_core", "::gnupg::reply::"),
    ("keystead_core", "::openpgp::"),
    ("keystead_core", "::pins::"),
    ("keystead_core", "::rotate::decide::"),
    ("keystead_core", "::rotate::documents::"),
    ("keystead_core", "::rotate::replace::"),
    ("keystead_extension", "::pins::perform"),
    ("keystead_extension", "::pins::work"),
    ("keystead_extension", "::sharing::share"),
    ("keystead_extension", "::sharing::work"),
];
/// Of those, what is needed all the same: comparing what is told of people, also where that is nothing, and what an account's
/// record has of the store.
const NOT_LATER: [(&str, &str); 3] = [
    ("keystead_core", "::pins::view::PersonView as core"),
    ("keystead_core", "::pins::audit::OwnDevice as core"),
    ("keystead_core", "::pins::shared::named::"),
];
/// What drops a value; its name goes on with the value's type.
const DROPS: (&str, &str) = ("core", "::ptr::drop_in_place::<");

/// The module that the first part imports from, and the function there that loads the second part.
const LOADER: (&str, &str) = ("later", "load");
/// The module that the second part imports from: the first part's exports.
const FIRST: &str = "first";

/// A module in two parts.
pub(crate) struct Parts {
    pub(crate) first: Vec<u8>,
    pub(crate) later: Vec<u8>,
}

/// Divides a module as wasm-bindgen left it, with the names of its functions.
pub(crate) fn split(module: &[u8]) -> Result<Parts> {
    let [mut first, mut later] = [read(module)?, read(module)?];
    let kept = kept(&first);
    let entries = entries(&first, &kept);
    ensure!(!entries.is_empty(), "nothing of the module can be loaded later: are the names of its functions gone?");
    let table = |module: &Module| module.tables.main_function_table()?.context("the module has no table of functions");
    let (table_of_first, table_of_later) = (table(&first)?, table(&later)?);
    let slots = grow(&mut first, table_of_first, entries.len())?;
    grow(&mut later, table_of_later, entries.len())?;
    call_later(&mut first, table_of_first, slots, &entries)?;
    let imported = import_the_rest(&mut later, table_of_later, slots, &kept, &entries);
    for (name, item) in imported {
        let item = match item {
            Item::Function(place) => ExportItem::Function(nth(first.funcs.iter().map(walrus::Function::id), place)?),
            Item::Global(place) => ExportItem::Global(nth(first.globals.iter().map(walrus::Global::id), place)?),
            Item::Table(place) => ExportItem::Table(nth(first.tables.iter().map(walrus::Table::id), place)?),
            Item::Memory(place) => ExportItem::Memory(nth(first.memories.iter().map(walrus::Memory::id), place)?),
        };
        first.exports.add(&name, item);
    }
    walrus::passes::gc::run(&mut first);
    Ok(Parts { first: first.emit_wasm(), later: later.emit_wasm() })
}

/// Has wasm-bindgen's script give the first part its loader.
pub(crate) fn with_loader(script: &str) -> Result<String> {
    const IMPORTS: &str = "\": import0,\n";
    let (module, _) = LOADER;
    ensure!(script.matches(IMPORTS).count() == 1, "wasm-bindgen's script has no imports where they were");
    let with = script.replace(IMPORTS, &format!("{IMPORTS}        {module},\n"));
    Ok(format!("import * as {module} from \"../js/later.js\";\n{with}"))
}

/// Reads a module; read twice, everything in it has the same place.
fn read(module: &[u8]) -> Result<Module> {
    ModuleConfig::new().parse(module).context("wasm-bindgen's module cannot be read")
}

fn nth<T>(mut all: impl Iterator<Item = T>, place: usize) -> Result<T> {
    all.nth(place).context("the parts are not of one module")
}

/// Whose a function is, and what it is called there. A compiler writes the crate's hash between the two.
fn owner(name: &str) -> (&str, &str) {
    let name = name.trim_start_matches(['<', '&']);
    let split = name.split_once('[').and_then(|(owner, rest)| Some((owner, rest.split_once(']')?.1)));
    split.unwrap_or(("", name))
}

/// Is a function for later by its name? One of the standard library that is made for a type of OpenPGP's is not: compilers
/// make one of several that do the same.
fn is_named(module: &Module, function: FunctionId) -> bool {
    let name = module.funcs.get(function).name.as_deref().unwrap_or_default();
    let (mut krate, mut path) = owner(name);
    if let (true, Some(dropped)) = (krate == DROPS.0, path.strip_prefix(DROPS.1)) {
        (krate, path) = owner(dropped);
    }
    let is_of = |(own, module): &(&str, &str)| krate == *own && path.starts_with(module);
    LATER.contains(&krate) || (OWN.iter().any(is_of) && !NOT_LATER.iter().any(is_of))
}

/// Does the name of a function have to do with anything of that?
fn is_related(module: &Module, function: FunctionId) -> bool {
    let name = module.funcs.get(function).name.as_deref().unwrap_or_default();
    LATER.iter().any(|krate| name.contains(&format!("{krate}["))) || is_named(module, function)
}

/// Finds which functions a function mentions.
#[derive(Default)]
struct Mentioned(Vec<FunctionId>);

impl<'a> Visitor<'a> for Mentioned {
    fn visit_call(&mut self, call: &Call) {
        self.0.push(call.func);
    }

    fn visit_return_call(&mut self, call: &ReturnCall) {
        self.0.push(call.func);
    }

    fn visit_ref_func(&mut self, reference: &RefFunc) {
        self.0.push(reference.func);
    }
}

fn mentioned(module: &Module, function: FunctionId) -> Vec<FunctionId> {
    let mut mentioned = Mentioned::default();
    if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
        dfs_in_order(&mut mentioned, local, local.entry_block());
    }
    mentioned.0
}

/// The functions that can be called indirectly.
fn in_table(module: &Module) -> Vec<FunctionId> {
    let functions = |items: &ElementItems| match items {
        ElementItems::Functions(functions) => functions.clone(),
        ElementItems::Expressions(_, expressions) => expressions
            .iter()
            .filter_map(|expression| match expression {
                ConstExpr::RefFunc(function) => Some(*function),
                _ => None,
            })
            .collect(),
    };
    module.elements.iter().flat_map(|element| functions(&element.items)).collect()
}

/// The places of the functions that stay: what is exported, imported, or can be reached without anything that is named.
fn kept(module: &Module) -> BTreeSet<FunctionId> {
    let exported = module.exports.iter().filter_map(|export| match export.item {
        ExportItem::Function(function) => Some(function),
        _ => None,
    });
    let indirectly = in_table(module).into_iter().filter(|function| !is_related(module, *function));
    let mut open: Vec<_> = exported.chain(module.start).chain(indirectly).collect();
    let imported = module.funcs.iter().filter(|function| matches!(function.kind, FunctionKind::Import(_)));
    let mut kept: BTreeSet<_> = imported.map(walrus::Function::id).collect();
    while let Some(function) = open.pop() {
        if kept.insert(function) {
            open.extend(mentioned(module, function).into_iter().filter(|called| !is_named(module, *called)));
        }
    }
    kept
}

/// The functions that go, and that what stays calls.
fn entries(module: &Module, kept: &BTreeSet<FunctionId>) -> Vec<usize> {
    let called = kept.iter().flat_map(|function| mentioned(module, *function));
    let entries: BTreeSet<_> = called.chain(in_table(module)).filter(|function| !kept.contains(function)).collect();
    let places = module.funcs.iter().enumerate();
    places.filter(|(_, function)| entries.contains(&function.id())).map(|(place, _)| place).collect()
}

/// Makes room at the end of the table; says where that begins.
fn grow(module: &mut Module, table: TableId, by: usize) -> Result<i32> {
    let table = module.tables.get_mut(table);
    let slots = i32::try_from(table.initial)?;
    table.initial += u64::try_from(by)?;
    table.maximum = table.maximum.map(|maximum| maximum.max(table.initial));
    Ok(slots)
}

/// Puts in the place of each entry a function that calls what is in its slot, once that is loaded.
fn call_later(module: &mut Module, table: TableId, slots: i32, entries: &[usize]) -> Result<()> {
    let nothing = module.types.add(&[], &[]);
    let (load, _) = module.add_import_func(LOADER.0, LOADER.1, nothing);
    let loaded = module.globals.add_local(ValType::I32, true, false, ConstExpr::Value(Value::I32(0)));
    let mut ready = FunctionBuilder::new(&mut module.types, &[], &[]);
    ready.func_body().global_get(loaded).if_else(
        None,
        |_| {},
        |otherwise| {
            otherwise.call(load).i32_const(1).global_set(loaded);
        },
    );
    let ready = ready.finish(Vec::new(), &mut module.funcs);
    for (slot, place) in (slots..).zip(entries) {
        let function = nth(module.funcs.iter().map(walrus::Function::id), *place)?;
        let ty = module.funcs.get(function).ty();
        let (parameters, results) = {
            let ty = module.types.get(ty);
            (ty.params().to_vec(), ty.results().to_vec())
        };
        let arguments: Vec<_> = parameters.iter().map(|ty| module.locals.add(*ty)).collect();
        let mut builder = FunctionBuilder::new(&mut module.types, &parameters, &results);
        let mut body = builder.func_body();
        body.call(ready);
        for argument in &arguments {
            body.local_get(*argument);
        }
        body.i32_const(slot).call_indirect(ty, table);
        module.funcs.get_mut(function).kind = FunctionKind::Local(builder.local_func(arguments));
    }
    Ok(())
}

/// What the second part has from the first, by its place there.
enum Item {
    Function(usize),
    Global(usize),
    Table(usize),
    Memory(usize),
}

/// Makes the second part: the entries in their slots, and all that they need; the rest is imported. Says what, by the names
/// of the imports.
fn import_the_rest(
    module: &mut Module,
    table: TableId,
    slots: i32,
    kept: &BTreeSet<FunctionId>,
    entries: &[usize],
) -> Vec<(String, Item)> {
    let kept: BTreeSet<usize> = kept.iter().map(|function| function.index()).collect();
    let ids: Vec<_> = module.exports.iter().map(walrus::Export::id).collect();
    ids.into_iter().for_each(|export| module.exports.delete(export));
    let ids: Vec<_> = module.data.iter().map(walrus::Data::id).collect();
    ids.into_iter().for_each(|data| module.data.delete(data));
    let ids: Vec<_> = module.elements.iter().map(walrus::Element::id).collect();
    ids.into_iter().for_each(|element| module.elements.delete(element));
    let ids: Vec<_> = module.imports.iter().map(walrus::Import::id).collect();
    ids.into_iter().for_each(|import| module.imports.delete(import));
    module.start = None;

    let mut imported = Vec::new();
    let mut name = |item: Item| {
        imported.push((format!("{}", imported.len()), item));
        imported.len() - 1
    };
    let ids: Vec<_> = module.funcs.iter().map(walrus::Function::id).collect();
    let functions: Vec<_> = entries.iter().map(|place| ids[*place]).collect();
    for (place, id) in ids.into_iter().enumerate().filter(|(_, id)| kept.contains(&id.index())) {
        let ty = module.funcs.get(id).ty();
        let import = import(module, name(Item::Function(place)), id);
        module.funcs.get_mut(id).kind = FunctionKind::Import(ImportedFunction { import, ty });
    }
    let ids: Vec<_> = module.globals.iter().map(walrus::Global::id).collect();
    for (place, id) in ids.into_iter().enumerate() {
        let import = import(module, name(Item::Global(place)), id);
        module.globals.get_mut(id).kind = GlobalKind::Import(import);
    }
    let ids: Vec<_> = module.tables.iter().map(walrus::Table::id).collect();
    for (place, id) in ids.into_iter().enumerate() {
        let import = import(module, name(Item::Table(place)), id);
        let table = module.tables.get_mut(id);
        (table.import, table.elem_segments) = (Some(import), Default::default());
    }
    let ids: Vec<_> = module.memories.iter().map(walrus::Memory::id).collect();
    for (place, id) in ids.into_iter().enumerate() {
        let import = import(module, name(Item::Memory(place)), id);
        let memory = module.memories.get_mut(id);
        (memory.import, memory.data_segments) = (Some(import), Default::default());
    }
    let offset = ConstExpr::Value(Value::I32(slots));
    let element = module.elements.add(ElementKind::Active { table, offset }, ElementItems::Functions(functions));
    module.tables.get_mut(table).elem_segments.insert(element);
    walrus::passes::gc::run(module);
    let used: BTreeSet<_> = module.imports.iter().map(|import| import.name.clone()).collect();
    imported.into_iter().filter(|(name, _)| used.contains(name)).collect()
}

fn import(module: &mut Module, name: usize, kind: impl Into<ImportKind>) -> ImportId {
    module.imports.add(FIRST, &name.to_string(), kind)
}

#[cfg(test)]
mod tests {
    use walrus::RefType;

    use super::*;

    /// A module in which `start`, exported, calls `sequoia_openpgp[0]::seal`, which calls `wipe` and `aes[0]::encrypt`;
    /// `wipe` is in the table, `encrypt` is called by nobody else, `idle` by nobody.
    fn module(names: bool) -> Vec<u8> {
        let mut module = Module::with_config(ModuleConfig::new());
        module.memories.add_local(false, false, 1, None, None);
        let mut function = |name: &str, calls: &[FunctionId]| {
            let mut builder = FunctionBuilder::new(&mut module.types, &[ValType::I32], &[]);
            if names {
                builder.name(name.to_owned());
            }
            let argument = module.locals.add(ValType::I32);
            for called in calls {
                builder.func_body().local_get(argument).call(*called);
            }
            builder.finish(vec![argument], &mut module.funcs)
        };
        let (wipe, encrypt) = (function("zeroize[0]::wipe", &[]), function("aes[0]::encrypt", &[]));
        function("aes[0]::idle", &[]);
        let seal = function("sequoia_openpgp[0]::seal", &[wipe, encrypt]);
        let start = function("start", &[seal]);
        module.exports.add("start", start);
        let table = module.tables.add_local(false, 2, Some(2), RefType::FUNCREF);
        let offset = ConstExpr::Value(Value::I32(1));
        let element = module.elements.add(ElementKind::Active { table, offset }, ElementItems::Functions(vec![wipe]));
        module.tables.get_mut(table).elem_segments.insert(element);
        module.emit_wasm()
    }

    fn names(module: &Module, is: impl Fn(&FunctionKind) -> bool) -> Vec<&str> {
        let mut names: Vec<_> = module.funcs.iter().filter(|f| is(&f.kind)).filter_map(|f| f.name.as_deref()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn openpgp_goes_with_what_only_it_needs() {
        let Parts { first, later } = split(&module(true)).unwrap();
        let (first, later) = (read(&first).unwrap(), read(&later).unwrap());
        let local = |kind: &FunctionKind| matches!(kind, FunctionKind::Local(_));
        let imported = |kind: &FunctionKind| matches!(kind, FunctionKind::Import(_));
        assert_eq!(names(&later, local), ["aes[0]::encrypt", "sequoia_openpgp[0]::seal"]);
        assert_eq!(names(&later, imported), ["zeroize[0]::wipe"]);
        assert_eq!(names(&first, local), ["sequoia_openpgp[0]::seal", "start", "zeroize[0]::wipe"]);
        let imports: Vec<_> = first.imports.iter().map(|i| (i.module.as_str(), i.name.as_str())).collect();
        assert_eq!(imports, [LOADER]);
        for import in later.imports.iter() {
            assert_eq!(import.module, FIRST);
            assert!(first.exports.iter().any(|export| export.name == import.name), "{} is not exported", import.name);
        }
        assert_eq!(in_table(&later).len(), 1, "the entry");
        let size = |module: &Module| module.tables.iter().next().unwrap().initial;
        assert_eq!((size(&first), size(&later)), (3, 3));
    }

    #[test]
    fn a_module_without_names_is_refused() {
        assert!(split(&module(false)).is_err());
    }

    #[test]
    fn a_script_that_has_changed_is_refused() {
        let script = "return {\n        \"./keystead_extension_bg.js\": import0,\n    };\n";
        let with = with_loader(script).unwrap();
        assert!(
            with.starts_with("import * as later from \"../js/later.js\";\n") && with.contains("\n        later,\n")
        );
        assert!(with_loader("return {};\n").is_err());
        assert!(with_loader(&script.repeat(2)).is_err());
    }
}
