// How packages are bundled that do not bundle by themselves, or that would make every start slower.
import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";

// koffi looks for its native part relative to its own package; a bundle has it in koffi/<platform> beside itself.
const nativeKoffi = {
  name: "koffi",
  setup(build) {
    build.onLoad({ filter: /[\\/]koffi[\\/]src[\\/]koffi[\\/]src[\\/]static\.js$/ }, () => ({
      contents: `import { createRequire } from "node:module";
        export const loadStatic = (platform) => createRequire(import.meta.url)(\`./koffi/\${platform}/koffi.node\`);`,
      loader: "js",
    }));
  },
};

// blessed requires its widgets by computed names and reads terminal descriptions beside its sources.
const bundledBlessed = {
  name: "blessed",
  setup(build) {
    build.onLoad({ filter: /[\\/]blessed[\\/]lib[\\/].*\.js$/ }, ({ path: file }) => {
      const source = readFileSync(file, "utf8");
      if (file.endsWith(`${path.sep}widget.js`)) return { contents: staticWidgets(source), loader: "js" };
      const depth = file.includes(`${path.sep}widgets${path.sep}`) ? "/blessed/lib/widgets" : "/blessed/lib";
      return { contents: source.replaceAll("__dirname", `(__dirname + "${depth}")`), loader: "js" };
    });
  },
};

function staticWidgets(source) {
  const names = /widget\.classes = (\[[^\]]*\])/.exec(source)?.[1]?.match(/\w+/g) ?? [];
  const table = names.map(
    (name) => `${JSON.stringify(name.toLowerCase())}: () => require("./widgets/${name.toLowerCase()}")`,
  );
  const replaced = source.replace("require('./widgets/' + file)", "widgetModules[file]()");
  if (names.length === 0 || replaced === source)
    throw new Error("blessed's widget.js has changed: adapt staticWidgets");
  return `const widgetModules = { ${table.join(", ")} };\n${replaced}`;
}

// An ESM import of a builtin reads all of its exports, and node:http then loads undici: 20 ms of each start (measured).
const lazyBuiltins = {
  name: "builtins",
  setup(build) {
    build.onResolve({ filter: /^[a-z_:/]+$/ }, ({ path: name, kind }) => {
      if (!isBuiltin(name)) return undefined;
      return kind === "require-call" ? { path: name, external: true } : { path: name, namespace: "builtin" };
    });
    build.onLoad({ filter: /./, namespace: "builtin" }, ({ path: name }) => ({
      contents: `module.exports = require(${JSON.stringify(name)});`,
      loader: "js",
    }));
  },
};

// Half of the proxy's bundle, and needed only where somebody has written a regular expression.
const lazyRe2 = {
  name: "re2js",
  setup(build) {
    build.onResolve({ filter: /^re2js$/ }, ({ namespace, resolveDir }) =>
      namespace === "lazy" ? undefined : { path: "re2js", namespace: "lazy", pluginData: resolveDir },
    );
    build.onLoad({ filter: /./, namespace: "lazy" }, ({ pluginData }) => ({
      contents: `let loaded;
        export const RE2JS = new Proxy({}, { get: (_, name) => (loaded ??= require("re2js").RE2JS)[name] });`,
      loader: "js",
      resolveDir: pluginData,
    }));
  },
};

export const bundlePlugins = [nativeKoffi, bundledBlessed, lazyBuiltins, lazyRe2];
