// What is kept over a reload: which uploads are unfinished (localStorage), and, where the browser has them, handles of their files (IndexedDB).
const KEY = "segmentation-queue.uploads", DAYS = 7;

export function readKept() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) || "{}");
    return Object.values(kept).filter((one) => Date.now() - one.at < DAYS * 864e5);
  } catch { return []; }
}
let timer = 0;
const units = new Map();
export function keep(unit) { units.set(unit.id, unit); timer ||= setTimeout(write, 400); }
export function drop(id) { units.delete(id); handles("readwrite", (store) => store.delete(id)); write(); }
function write() {
  clearTimeout(timer); timer = 0;
  try { localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(units))); } catch { /* full or forbidden: uploads work, but a reload forgets them */ }
}
addEventListener("pagehide", () => timer && write());

function handles(mode, work) {
  return new Promise((resolve) => {
    if (!globalThis.indexedDB) return resolve(null);
    const opening = indexedDB.open("segmentation-queue", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("handles");
    opening.onerror = () => resolve(null);
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("handles", mode);
      const request = work(transaction.objectStore("handles"));
      transaction.oncomplete = () => { resolve(request.result ?? null); opening.result.close(); };
      transaction.onerror = transaction.onabort = () => resolve(null);
    };
  });
}
export const keepHandle = (id, handle) => handle && handles("readwrite", (store) => store.put(handle, id));
export const keptHandle = (id) => handles("readonly", (store) => store.get(id));
