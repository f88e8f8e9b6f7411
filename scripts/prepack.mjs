// `npm pack` and `npm publish`: the bundles, and koffi's native part for each architecture that an engine may have.
import { buildBundles, copyNativeKoffi, nativeKoffiFile } from "./lib/bundle.mjs";
import { fetchNativeKoffi } from "./lib/foreign-koffi.mjs";
import { explain } from "./lib/step.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp({ docker: false });
  await buildBundles();
  for (const arch of ["x64", "arm64"]) {
    copyNativeKoffi(nativeKoffiFile("linux", arch) ?? (await fetchNativeKoffi(arch)), `linux-${arch}`);
  }
} catch (error) {
  process.exitCode = explain(error);
}
