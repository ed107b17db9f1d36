// From what was dropped or chosen to units of upload: one per image file, one per folder of DICOM.
const VOLUME = /\.(nii|nii\.gz|nrrd|zip)$/i;
const DICOM = /(\.(dcm|dicom|ima|img)|(^|\/)[^.]+|\.\d+)$/i;
const NOISE = /(^|\/)(\.[^/]*|__MACOSX\/.*|thumbs\.db|desktop\.ini|dicomdir|lockfile|version)$/i;
const OTHER = /\.(txt|pdf|docx?|xlsx?|pptx?|csv|json|xml|html?|jpe?g|png|gif|bmp|tiff?|mp4|avi|mov|exe|dll|msi|py|log|md|ini|inf|bat|app|stl|obj|gltf|glb)$/i;

export const isVolume = (path) => VOLUME.test(path);
export const fingerprint = (one) => `${one.rel}|${one.file.size}|${one.file.lastModified}`;

// entries: [{file, rel, handle?}] -> {units: [{name, folder: bool, files, handle?}], left: [names], wrong: [names]}
export function sort(entries, folders = []) {
  const units = [], left = [], wrong = [], loose = [];
  const take = (one, inFolder) => {
    if (NOISE.test(one.rel)) left.push(one.rel);
    else if (isVolume(one.rel)) units.push({ name: one.file.name, folder: false, files: [one], handle: one.handle });
    else if (OTHER.test(one.rel) || one.file.size === 0) (inFolder ? left : wrong).push(one.rel);
    else return DICOM.test(one.rel) || !inFolder;
    return false;
  };
  for (const one of entries) if (take(one, false)) loose.push(one);
  if (loose.length === 1) units.push({ name: loose[0].file.name, folder: false, files: loose, handle: loose[0].handle });
  if (loose.length > 1) units.push({ name: `${stem(loose[0].file.name)} and ${loose.length - 1} more`, folder: true, files: loose });
  for (const folder of folders) {
    const files = folder.files.filter((one) => take(one, true));
    if (files.length) units.push({ name: folder.name, folder: true, files, handle: folder.handle });
    else if (!folder.files.some((one) => isVolume(one.rel))) wrong.push(folder.name);
  }
  return { units, left, wrong };
}
const stem = (name) => name.replace(/\.[^.]{1,5}$/, "");

export function fromInput(input) {
  const files = [...input.files];
  if (!input.webkitdirectory) return sort(files.map((file) => ({ file, rel: file.name })));
  const folders = new Map();
  for (const file of files) {
    const [top, ...rest] = file.webkitRelativePath.split("/");
    if (!folders.has(top)) folders.set(top, { name: top, files: [] });
    folders.get(top).files.push({ file, rel: rest.join("/") });
  }
  return sort([], [...folders.values()]);
}

// Everything of the event must be asked for before the first await; afterwards the browser has forgotten it.
export async function fromDrop(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const asked = items.map((item) => [item.getAsFileSystemHandle?.().catch(() => null), item.webkitGetAsEntry?.(), item.getAsFile()]);
  const entries = [], folders = [];
  for (const [promise, entry, file] of asked) {
    const handle = await promise;
    if (handle?.kind === "directory") folders.push({ name: handle.name, files: await walkHandle(handle), handle });
    else if (entry?.isDirectory) folders.push({ name: entry.name, files: await walkEntry(entry) });
    else if (file) entries.push({ file: handle ? await handle.getFile() : file, rel: file.name, handle });
  }
  return sort(entries, folders);
}
export async function walkHandle(folder, path = "") {
  const found = [];
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind === "directory") found.push(...await walkHandle(handle, `${path}${name}/`));
    else found.push({ file: await handle.getFile(), rel: path + name });
  }
  return found;
}
async function walkEntry(entry, path = "") {
  if (entry.isFile) return [{ file: await new Promise((yes, no) => entry.file(yes, no)), rel: path + entry.name }];
  const reader = entry.createReader(), found = [];
  const inside = path === "" && !entry.nested ? "" : `${path}${entry.name}/`;
  for (;;) { // at most a hundred at a time
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (!some.length) return found;
    for (const one of some) { one.nested = true; found.push(...await walkEntry(one, inside)); }
  }
}
