/**
 * The class from undici that is loaded with the first request. A file of its own, since a bundler gives `import()` of a
 * CommonJS package only its default export, and a static import all of its names.
 */
export { Agent } from 'undici';
