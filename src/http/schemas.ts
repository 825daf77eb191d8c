import { keySchema } from './key-schema.ts'
import { leaseSchema } from './lease-schema.ts'
import { countsSchema, policySchema, poolSchema } from './pool-schema.ts'
import { problemSchema } from './problem-schema.ts'

/** All named schemas, in an order in which each stands after those that it refers to. */
export const sharedSchemas = [policySchema, countsSchema, poolSchema, keySchema, leaseSchema, problemSchema]
