import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import { type ApiDocument, completeDocument, type RouteNotes } from './document.ts'
import { servePages } from './pages.ts'
import type { RefusedResponse } from './problem-schema.ts'
import type { Need } from './roles.ts'

const DESCRIPTION = [
  'Lends out API keys. A lease gives a random free key to one caller until it is released or, at the latest, the lease deadline passes. A key that nobody keeps alive until its keep-alive deadline is retired for ever. The two deadlines never touch each other.',
  'To try the calls here: import the key of the example with `POST /v1/pools/{pool}/keys`; every call on a key then succeeds as it is filled in. The id of a lease is in the answer that grants it.',
  'Every refusal is `application/problem+json` (RFC 9457): `code` is for programs, and `GET /problems/{code}` explains it. A path that has not the method answers 405 `method-not-allowed` with `Allow`, a path that is not here 404 `not-found`. HEAD is where GET is under `/v1`.',
  'Instants are RFC 3339 in UTC; what ends in `Ms` is a length in milliseconds. Unknown members of a body are refused, unknown query parameters ignored, repeated ones refused.'
].join('\n\n')

const TAGS = [
  { name: 'leases', description: 'Acquire, renew and release.' },
  { name: 'keys', description: 'What is lent out.' },
  { name: 'batch', description: 'Many operations in one call.' },
  { name: 'pools', description: 'Keys by purpose, each pool with its policy.' },
  { name: 'service', description: 'The server itself.' },
  { name: 'random_api_key', description: "An old server's calls, on the pool `default`." },
  { name: 'tokenapi', description: "An old server's calls, on the pool `tokens`." }
]

/** The document of the API, made from the routes, and Swagger UI to try it under /docs. Register before the routes. */
export async function describeApi(app: FastifyInstance): Promise<void> {
  const notes = new Map<string, RouteNotes>()
  await app.register(swagger, {
    convertConstToEnum: false,
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'keypool',
        version: '1',
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' }
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'Where the server has a file of tokens.' },
          token: { type: 'apiKey', in: 'query', name: 'token', description: 'The same token, from old clients.' }
        }
      },
      tags: TAGS
    },
    refResolver: { buildLocalReference: json => String(json['$id']) },
    transform: ({ schema, url, route }) => {
      if (schema.hide) return { schema, url }
      const { told, ...note } = readRoute(schema, route)
      notes.set(String(schema.operationId), note)
      return { schema: told, url }
    },
    transformObject: documentObject => {
      // The plugin's type leaves everything open.
      const { openapiObject: document } = documentObject as unknown as { openapiObject: ApiDocument }
      completeDocument(document, notes)
      return document as never
    }
  })
  await app.register(servePages)
}

/** What of a route the plugin is told, and what is noted besides. */
function readRoute(schema: FastifySchema, route: RouteOptions): RouteNotes & { told: FastifySchema } {
  const { bodyOptional = false, bodyIgnored = false, whileDraining = false, rateLimit } = { ...route.config }
  const examples: RouteNotes['examples'] = {}
  const refused: RouteNotes['refused'] = {}
  const response: Record<string, object> = {}
  for (const [status, answer] of Object.entries(schema.response as object)) {
    if (isRefused(answer)) refused[status] = answer
    else response[status] = answer
    if ('example' in answer) examples[status] = answer.example
  }
  const isRead = route.method === 'GET'
  // Nobody looks at the body of a GET.
  if (isRead) delete refused['413']
  if (isRead || bodyIgnored) delete refused['415']
  if (rateLimit === false) delete refused['429']
  // What the edge alone says, it does not say here.
  if (whileDraining && refused['503']?.codes.every(code => code === 'overloaded' || code === 'draining')) {
    delete refused['503']
  }
  // Open to all.
  if ((route.config?.need as Need).role === 'open') delete refused['401']
  // An empty body is let in with a DELETE, but nobody should be told to send one.
  const { body, ...rest } = schema
  const told = body === undefined || route.method === 'DELETE' ? rest : { ...rest, body }
  return { told: { ...told, ...tellNeed(schema, route), response }, bodyOptional, examples, refused }
}

function isRefused(answer: object): answer is RefusedResponse {
  return 'codes' in answer
}

/** Who may call an operation, as its schema tells it. */
function tellNeed({ description }: { description?: string }, { config }: RouteOptions): object {
  // Every route has one: see access.ts.
  const { role } = config?.need as Need
  if (role === 'open') return { security: [] }
  return {
    description: [description, `Needs the role \`${role}\`.`].filter(Boolean).join(' '),
    security: config?.tokenInQuery === true ? [{ bearer: [] }, { token: [] }] : [{ bearer: [] }]
  }
}
