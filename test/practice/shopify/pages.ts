import { type Html, html } from '../woocommerce/html.ts';

/** A whole page of the practice Shopify. */
export function page(title: string, content: Html): string {
  return html`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>${title}</title>
<style>body{font:16px sans-serif;margin:2rem;max-width:60rem}label{display:block;margin:.8rem 0}input,textarea{display:block;width:30rem}
nav a{margin-right:1rem}section{border:1px solid #ccc;padding:1rem;margin:1rem 0}</style></head>
<body><p><small>Practice Shopify, a simulation</small></p>${content}</body></html>`.markup;
}
