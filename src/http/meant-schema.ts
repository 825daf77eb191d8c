export interface JsonSchema {
  type?: string | string[]
  properties?: Record<string, JsonSchema>
  items?: JsonSchema
  oneOf?: JsonSchema[]
  discriminator?: { propertyName: string }
  const?: string
  description?: string
}

/** The schema with each list of alternatives replaced by the one that each element's tag means: its errors alone help. */
export function meantSchema(schema: JsonSchema, value: unknown): JsonSchema {
  if (schema.properties === undefined || typeof value !== 'object' || value === null) return schema
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
