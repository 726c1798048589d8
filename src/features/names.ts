/** How a network of ONNX takes images. */
export const IMAGE_LAYOUTS = ['nchw', 'nhwc'] as const;
