import { createHmac, randomBytes } from 'node:crypto';

/** Who is signed in, and the nonces that WordPress puts into links and forms against forged requests. */
export interface Sessions {
  open(): string;
  isOpen(token: string): boolean;
  close(token: string): void;
  closeAll(): void;
  /** Ten hexadecimal digits, bound to the session and to one action, like `wp_create_nonce`. */
  nonce(token: string, action: string): string;
}

export function createSessions(): Sessions {
  const open = new Set<string>();
  const salt = randomBytes(32);
  return {
    open() {
      const token = randomBytes(24).toString('base64url');
      open.add(token);
      return token;
    },
    isOpen: (token) => open.has(token),
    close: (token) => void open.delete(token),
    closeAll: () => open.clear(),
    nonce: (token, action) => createHmac('sha256', salt).update(`${action}|${token}`).digest('hex').slice(0, 10),
  };
}
