/**
 * The class from mqtt that is loaded with the first connection. A file of its own, since a bundler gives `import()` of a
 * CommonJS package only its default export, and a static import all of its names.
 */
export { MqttClient } from 'mqtt';
