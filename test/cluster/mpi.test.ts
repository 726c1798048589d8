import { expect, test } from '@jest/globals';
import { describeWith, LAUNCHERS, MAETOK, run } from './launchers.js';

for (const [name, launcher] of Object.entries(LAUNCHERS))
  describeWith([launcher(2)[0]], name, () => {
    test('a command that cannot divide its work is refused once', async () => {
      const { code, stdout, stderr } = await run([...launcher(2), ...MAETOK, 'models']);
      expect(code).toBe(name === 'torchrun' ? 1 : 2);
      expect((stdout + stderr).match(/maetok: models does not divide its work among 2 ranks/g)).toHaveLength(1);
    });
  });
