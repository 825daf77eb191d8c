import { STATUS_CODES } from 'node:http'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { Need } from './roles.ts'
import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'

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
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'keypool',
        version: '1',
        description:
          'Lends out API keys. A lease gives a random free key to one caller until it is released or, at the latest, the lease deadline passes. A key that nobody keeps alive until its keep-alive deadline is retired for ever. The two deadlines never touch each other.'
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
    transformObject: documentObject => {
      const { openapiObject: document } = documentObject as unknown as { openapiObject: Document }
      for (const path of Object.values(document.paths)) {
        for (const operation of Object.values(path)) {
          // Fastify's plugin calls every body required.
          if (operation.requestBody && operation['x-body-optional']) operation.requestBody.required = false
          delete operation['x-body-optional']
          for (const [status, response] of Object.entries(operation.responses)) {
            if (response.description === 'Default Response') response.description = STATUS_CODES[status]
          }
        }
      }
      return document as never
    },
    transform: ({ schema, url, route }) => {
      // An empty body is let in with a DELETE, but nobody should be told to send one.
      const { body, ...rest } = schema
      const told = body === undefined || route.method === 'DELETE' ? rest : { ...rest, body }
      Object.assign(told, route.config?.bodyOptional && { 'x-body-optional': true })
      return { schema: { ...told, ...tellNeed(schema, route) }, url }
    }
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      docExpansion: 'list',
      deepLinking: true,
      layout: 'BaseLayout'
    }
  })
}

/** Who may call an operation, as its schema tells it. */
function tellNeed(schema: FastifySchema, { config }: RouteOptions): object {
  const { description, response } = schema as { description?: string; response?: Record<string, object> }
  // Every route has one: see access.ts.
  const { role } = config?.need as Need
  if (role === 'open') {
    const { 401: _, ...rest } = response ?? {}
    return { security: [], response: rest }
  }
  return {
    description: [description, `Needs the role \`${role}\`.`].filter(Boolean).join(' '),
    security: config?.tokenInQuery === true ? [{ bearer: [] }, { token: [] }] : [{ bearer: [] }]
  }
}

interface Document {
  paths: Record<
    string,
    Record<
      string,
      {
        requestBody?: { required?: boolean }
        responses: Record<string, { description?: string | undefined }>
        'x-body-optional'?: boolean | undefined
      }
    >
  >
}
