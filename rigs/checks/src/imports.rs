//! The imports between the files of a crate, read from the sources.
//!
//! A file is a module here; modules that stand inside a file belong to it. Paths that begin with `crate`, `self`
//! or `super` are followed, in `use` lines and in code alike, through what a module only re-exports to the
//! module that has it. Code under `#[cfg(test)]` is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The path of a module from the root of its crate; empty for the root.
pub type ModulePath = Vec<String>;

/// The modules of one crate and what they import.
#[derive(Debug, Default)]
pub struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// Paths as they were written, made absolute: where they were written does not matter any more.
    paths: BTreeSet<Vec<String>>,
    /// The paths that `use` makes known here, by name, made absolute.
    names: BTreeMap<String, Vec<String>>,
}

/// One child of a module that imports another child of it, and the files that do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// The one that imports.
    pub from: ModulePath,
    /// The one that is imported.
    pub to: ModulePath,
    /// The file in which the import stands.
    pub file: PathBuf,
}

impl Crate {
    /// Reads the crate whose root is the file `root`.
    ///
    /// # Panics
    /// If a file cannot be read or is not Rust.
    pub fn read(root: &Path) -> Self {
        let mut found = Self::default();
        let folder = root.parent().unwrap_or(Path::new(".")).to_owned();
        found.read_file(root, &folder, Vec::new());
        found
    }

    /// Returns the modules and their files.
    pub fn files(&self) -> impl Iterator<Item = (&ModulePath, &Path)> {
        self.modules.iter().map(|(path, module)| (path, module.file.as_path()))
    }

    fn read_file(&mut self, file: &Path, folder: &Path, path: ModulePath) {
        let text =
            std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut reader = Reader {
            at: path.clone(),
            base: path.clone(),
            module: Module::default(),
            children: Vec::new(),
        };
        reader.visit_file(&parsed);
        let Reader { mut module, children, .. } = reader;
        module.file = file.to_owned();
        self.modules.insert(path.clone(), module);
        for (name, named) in children {
            // `#[path]` names a file beside this one.
            let beside = file.parent().unwrap_or(Path::new("."));
            let candidates = match named {
                Some(named) => vec![(beside.join(&named), beside.to_owned())],
                None => vec![
                    (folder.join(format!("{name}.rs")), folder.join(&name)),
                    (folder.join(&name).join("mod.rs"), folder.join(&name)),
                ],
            };
            let Some((file, inner)) = candidates.into_iter().find(|(file, _)| file.is_file())
            else {
                continue;
            };
            let mut child = path.clone();
            child.push(name);
            self.read_file(&file, &inner, child);
        }
    }

    /// Follows a path to the module that has what it names.
    fn resolve(&self, path: &[String]) -> ModulePath {
        let mut path = path.to_vec();
        // Each step goes through one re-export; a circle of them does not compile.
        for _ in 0..16 {
            let len = (0..=path.len())
                .rev()
                .find(|&n| self.modules.contains_key(&path[..n]))
                .unwrap_or(0);
            let Some(next) =
                path.get(len).and_then(|name| self.modules[&path[..len]].names.get(name))
            else {
                return path[..len].to_vec();
            };
            let next: Vec<String> =
                next.iter().cloned().chain(path[len + 1..].iter().cloned()).collect();
            if next == path {
                return path[..len].to_vec();
            }
            path = next;
        }
        Vec::new()
    }

    /// Returns every import between two children of one module.
    pub fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for (at, module) in &self.modules {
            for path in &module.paths {
                let target = self.resolve(path);
                let common = at.iter().zip(&target).take_while(|(a, b)| a == b).count();
                // A module and what is in it may know each other.
                if common < at.len() && common < target.len() {
                    edges.insert(Edge {
                        from: at[..=common].to_vec(),
                        to: target[..=common].to_vec(),
                        file: module.file.clone(),
                    });
                }
            }
        }
        edges
    }

    /// Returns the pairs of siblings that import each other, each pair once, as `a::b` and `a::c`.
    pub fn circles(&self) -> Vec<(String, String, Vec<PathBuf>)> {
        let edges = self.edges();
        let mut circles: BTreeMap<(String, String), BTreeSet<PathBuf>> = BTreeMap::new();
        for edge in &edges {
            let back = edges.iter().filter(|e| e.from == edge.to && e.to == edge.from);
            for other in back {
                let (a, b) = (edge.from.join("::"), edge.to.join("::"));
                let pair = if a < b { (a, b) } else { (b, a) };
                circles.entry(pair).or_default().extend([edge.file.clone(), other.file.clone()]);
            }
        }
        circles.into_iter().map(|((a, b), files)| (a, b, files.into_iter().collect())).collect()
    }
}

struct Reader {
    /// The module that is being read.
    base: ModulePath,
    /// The same, with the modules inside the file.
    at: ModulePath,
    module: Module,
    /// Modules with files of their own, and the file if it is named.
    children: Vec<(String, Option<String>)>,
}

impl Reader {
    /// Makes a path absolute. `None` if it does not begin in this crate.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let mut base = match path.first()?.as_str() {
            "crate" => return Some(path[1..].to_vec()),
            "self" | "super" => self.at.clone(),
            _ => return None,
        };
        let mut rest = path;
        while let Some((first, behind)) = rest.split_first() {
            match first.as_str() {
                "self" => {}
                "super" => drop(base.pop()),
                _ => break,
            }
            rest = behind;
        }
        base.extend(rest.iter().cloned());
        Some(base)
    }

    fn use_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| {
            before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>()
        };
        match tree {
            syn::UseTree::Path(path) => {
                let path_so_far = with(&path.ident);
                self.use_tree(&path_so_far, &path.tree);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(before, tree);
                }
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.used(before, before.last().cloned());
            }
            syn::UseTree::Name(name) => self.used(&with(&name.ident), Some(name.ident.to_string())),
            syn::UseTree::Rename(rename) => {
                self.used(&with(&rename.ident), Some(rename.rename.to_string()));
            }
            syn::UseTree::Glob(_) => self.used(before, None),
        }
    }

    fn used(&mut self, path: &[String], name: Option<String>) {
        // `use child::Thing` is a path from here, if there is such a child.
        let first_is_child =
            path.first().is_some_and(|first| self.children.iter().any(|(name, _)| name == first));
        let path = if first_is_child {
            Some(self.base.iter().cloned().chain(path.iter().cloned()).collect())
        } else {
            self.absolute(path)
        };
        let Some(path) = path else { return };
        // Modules inside the file have names of their own.
        if let Some(name) = name
            && self.at == self.base
        {
            self.module.names.insert(name, path.clone());
        }
        self.module.paths.insert(path);
    }
}

fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    })
}

impl<'a> Visit<'a> for Reader {
    fn visit_file(&mut self, file: &'a syn::File) {
        // All of them first, since a `use` above a `mod` may name it.
        for item in &file.items {
            if let syn::Item::Mod(module) = item
                && module.content.is_none()
                && !only_for_tests(&module.attrs)
            {
                let path = module.attrs.iter().find_map(|attribute| match &attribute.meta {
                    syn::Meta::NameValue(value) if value.path.is_ident("path") => {
                        match &value.value {
                            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(file), .. }) => {
                                Some(file.value())
                            }
                            _ => None,
                        }
                    }
                    _ => None,
                });
                self.children.push((module.ident.to_string(), path));
            }
        }
        syn::visit::visit_file(self, file);
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if module.content.is_some() && !only_for_tests(&module.attrs) {
            self.at.push(module.ident.to_string());
            syn::visit::visit_item_mod(self, module);
            self.at.pop();
        }
    }

    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        if !only_for_tests(&function.attrs) {
            syn::visit::visit_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        if !only_for_tests(&item.attrs) {
            self.use_tree(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let words: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let Some(path) = self.absolute(&words) {
            self.module.paths.insert(path);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'a syn::Visibility) {
        // `pub(in crate::x)` imports nothing.
    }
}
