import { configSchema, mapValues, type SchemaNode } from "./schema.ts";

/**
 * The schema for editors, as text: what `conf/delos.schema.json` holds. Nothing is required in it, as each layer of a
 * configuration says only what it wants to be different.
 */
export function editorSchema(): string {
  const schema = { $schema: "https://json-schema.org/draft/2020-12/schema", ...published(configSchema) };
  return `${shortListsOnOneLine(JSON.stringify(schema, null, 2))}\n`;
}

/** Characters of a line. */
const LINE_WIDTH = 120;

/** As the formatter of this project wants it, so that the file can be compared byte by byte. */
function shortListsOnOneLine(json: string): string {
  return json.replace(/\[\n\s+([^[\]{}]*?)\n\s+\](,?)/g, (list, items: string, comma: string, at: number) => {
    const line = `[${items.replace(/,\n\s+/g, ", ")}]${comma}`;
    const indented = at - json.lastIndexOf("\n", at) - 1;
    return indented + line.length <= LINE_WIDTH ? line : list;
  });
}

function published(node: SchemaNode): Record<string, unknown> {
  const { unit, properties, patternProperties, items, required: _, ...rest } = node;
  const schema: Record<string, unknown> = { ...rest };
  // The least size is in the alternative that is a number: a text has none.
  if (unit !== undefined) delete schema["minimum"];
  // A section whose lines are all commented out is null.
  if (node.type === "object" || node.type === "array") schema["type"] = [node.type, "null"];
  if (properties !== undefined) {
    schema["properties"] = Object.fromEntries(
      Object.entries(properties).map(([key, child]) => [key, published(child)]),
    );
  }
  const values = mapValues(node);
  if (patternProperties !== undefined && values !== undefined) schema["additionalProperties"] = published(values);
  if (items !== undefined) schema["items"] = published(items);
  return schema;
}
