/* tfjs-node's backend and its kernels, without the package's own start, which would load its addon. */
import '@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js';
export { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
