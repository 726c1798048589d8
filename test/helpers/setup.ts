import { expect } from '@jest/globals';
import { toBeAllClose } from './all-close.js';

expect.extend({ toBeAllClose });
