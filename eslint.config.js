import tseslint from 'typescript-eslint';

const clockRule = {
  selector:
    "CallExpression[callee.object.name='Date'][callee.property.name='now'], CallExpression[callee.object.name='Math'][callee.property.name='random'], CallExpression[callee.name=/^(setTimeout|setInterval)$/], NewExpression[callee.name='Date'][arguments.length=0]",
  message:
    'Take a Clock from @shapecast/service-kit: time and chance are given to a part, so that tests can drive them.',
};

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/dist/**', '**/.turbo/**', '**/.shapecast/**'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  {
    // Time and chance come in through a Clock (style: configuration, lifecycle, time).
    files: [
      'packages/{errors,log,shape,protocol,change-source,messaging,shape-store}/src/**/*.ts',
      'services/*/src/**/*.ts',
    ],
    ignores: ['**/*.test.ts', '**/*.contract.ts', '**/*.bench.ts'],
    rules: { 'no-restricted-syntax': ['error', clockRule] },
  },
  {
    // Command line programs talk to people.
    files: ['**/bin/**/*.ts', 'services/*/src/main.ts', 'services/embedded/src/**/*.ts', 'test/bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  { files: ['**/*.js', '**/*.cjs'], ...tseslint.configs.disableTypeChecked },
);
