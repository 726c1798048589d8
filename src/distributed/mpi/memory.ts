/** What a function is given, staying where it is: V8 moves a small array about in memory until its buffer has been asked for. */
export function inPlace<T>(value: T): T {
  if (ArrayBuffer.isView(value)) Reflect.get(value, 'buffer');
  return value;
}
