import { type Static, type TSchema, Type } from 'typebox'

/** The same schema, or null. A list of types, not `anyOf`: the serializer then has nothing to try out. */
export function nullable<T extends TSchema>(schema: T): ReturnType<typeof Type.Unsafe<Static<T> | null>> {
  const { type, ...rest } = schema as T & { type: string }
  return Type.Unsafe<Static<T> | null>({ ...rest, type: [type, 'null'] })
}

/** Names a schema, so that the document has it once. */
export function named<T extends TSchema>(id: string, schema: T): T {
  return { ...schema, $id: id }
}

/** A reference to a named schema. */
export function ref<T>(id: string): ReturnType<typeof Type.Unsafe<T>> {
  return Type.Unsafe<T>({ $ref: `${id}#` })
}

/** Of an object that takes no other members than its own. */
export const closed = { additionalProperties: false }

/** Of calls that take nothing. */
export const emptyBody = Type.Object({}, { ...closed, title: 'Nothing', examples: [{}] })

/** A response with a body of this schema: what the document says of it besides, and shows. */
export function answer<T extends TSchema>(schema: T, description: string, example: object): T {
  return { ...schema, description, example }
}

/** The same response, for the document: what it has made has an address. */
export function located<T extends TSchema>(response: T, description: string): T {
  return { ...response, headers: { Location: { type: 'string', format: 'uri-reference', description } } }
}

/** A response without a body. */
export const noContent = (description: string) => ({ description, type: 'null' })

export const instantSchema = (description: string) => Type.String({ format: 'date-time', description })
export const lengthSchema = (description: string) => Type.Integer({ description: `${description}, in milliseconds` })
export const countSchema = (description: string) => Type.Integer({ minimum: 0, description })
