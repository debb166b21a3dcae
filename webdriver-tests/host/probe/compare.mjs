// Compares two answers of the probe, value by value.
import { readFile } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function* walk(expected, found, path) {
    if (isObject(expected) && isObject(found)) {
        for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
            yield* walk(expected[key], found[key], path ? `${path}.${key}` : key);
        }
    } else if (!isDeepStrictEqual(expected, found)) yield { path, ...change(expected, found) };
}

/** For lists: what is missing and what is more; if neither, the order is another. Else both values. */
function change(expected, found) {
    if (!Array.isArray(expected) || !Array.isArray(found)) return { expected, found };
    const missing = expected.filter((value) => !found.includes(value));
    const extra = found.filter((value) => !expected.includes(value));
    return missing.length + extra.length > 0 ? { missing, extra } : { expected, found };
}

/** Every difference; with its `reason` where known-differences.json lists exactly this one. */
export async function differences(expected, found) {
    const known = JSON.parse(await readFile(new URL("known-differences.json", import.meta.url), "utf8"));
    return [...walk(expected, found, "")].map((difference) => {
        const match = known.find(({ reason, ...rest }) => isDeepStrictEqual(rest, difference));
        return { ...difference, reason: match?.reason };
    });
}
