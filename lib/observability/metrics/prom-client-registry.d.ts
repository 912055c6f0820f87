// prom-client types its main entry alone. The registry is imported by its path, as the other parts, which we do not
// use, are loaded with the main entry.
declare module 'prom-client/lib/registry.js' {
  import { Registry } from 'prom-client'

  export default Registry
}
