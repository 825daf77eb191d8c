/** Where what has happened is told to whoever runs the service. */
export interface Log {
  info(members: object, message: string): void
  warn(members: object, message: string): void
  error(members: object, message: string): void
}
