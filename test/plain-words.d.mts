export function checkPage(markdown: string, file: string): string[];
export function checkCode(code: string, file: string, hasComments: boolean): string[];
export function checkSettings(text: string, file: string): string[];
