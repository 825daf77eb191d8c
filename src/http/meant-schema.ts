export interface JsonSchema {
  required?: string[]
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  items?: JsonSchema
  oneOf?: JsonSchema[]
  discriminator?: { propertyName: string }
  const?: string
  description?: string
}

/**
 * The schema with alternatives replaced by the one that was meant: its errors alone help. Of a body that is the last one
 * whose required members are there; in a list each element's tag says it.
 */
export function meantSchema(schema: JsonSchema, value: unknown): JsonSchema {
  if (typeof value !== 'object' || value === null) return schema.oneOf?.[0] ?? schema
  if (schema.oneOf !== undefined) {
    return schema.oneOf.findLast(({ required = [] }) => required.every(name => name in value)) as JsonSchema
  }
  if (schema.properties === undefined) return schema
  const properties: Record<string, object> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const elements = (value as Record<string, unknown>)[name]
    const { oneOf, discriminator } = property.items ?? {}
    if (oneOf === undefined || discriminator === undefined || !Array.isArray(elements)) {
      properties[name] = property
      continue
    }
    const { items: _, ...rest } = property
    properties[name] = {
      ...rest,
      prefixItems: elements.map(element => meantBranch(oneOf, discriminator.propertyName, element))
    }
  }
  return { ...schema, properties }
}

/** The members that the schema, or one of its alternatives, has. */
export function knownMembers({ properties = {}, oneOf = [] }: JsonSchema): string[] {
  return [...Object.keys(properties), ...oneOf.flatMap(knownMembers)]
}

function meantBranch(branches: JsonSchema[], tag: string, element: unknown): object {
  const tagOf = (branch: JsonSchema) => branch.properties?.[tag]?.const
  const meant = (element as Record<string, unknown> | null)?.[tag]
  return (
    branches.find(branch => tagOf(branch) === meant) ?? {
      type: 'object',
      required: [tag],
      properties: { [tag]: { enum: branches.map(tagOf) } }
    }
  )
}
