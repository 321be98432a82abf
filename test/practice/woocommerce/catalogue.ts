export interface PracticeProduct {
  readonly id: number;
  readonly name: string;
  readonly sku: string;
  readonly price: string;
  readonly stock: number;
  readonly status: 'publish' | 'draft';
  readonly createdAt: Date;
}

export interface PracticeOrder {
  readonly id: number;
  readonly customerName: string;
  readonly total: string;
  readonly status: 'processing' | 'completed' | 'on-hold';
  readonly createdAt: Date;
}

export interface Catalogue {
  /** Newest first, as both the admin page and the REST API list them. */
  products(): readonly PracticeProduct[];
  orders(): readonly PracticeOrder[];
  addProduct(draft: { readonly name: string; readonly price: string; readonly sku: string }): PracticeProduct;
}

const WARES: readonly (readonly [name: string, price: string])[] = [
  ['Linen apron', '39.00'],
  ['Stoneware mug', '18.50'],
  ['Beeswax candle', '12.00'],
  ['Walnut cutting board', '54.00'],
  ['Wool throw', '89.00'],
  ['Copper watering can', '46.00'],
  ['Olive oil soap', '7.50'],
  ['Brass bookmark', '9.00'],
];
const FIRST_DAY = Date.UTC(2026, 8, 1, 9, 30);
const DAY_MS = 86_400_000;

export function createCatalogue(productCount: number): Catalogue {
  const products = Array.from({ length: productCount }, (_, index) => wareAt(index));
  const orders = orderList();
  return {
    products: () => products.toReversed(),
    orders: () => orders,
    addProduct({ name, price, sku }) {
      const id = 11 + products.length;
      const product: PracticeProduct = { id, name, sku, price, stock: 0, status: 'publish', createdAt: new Date() };
      products.push(product);
      return product;
    },
  };
}

function wareAt(index: number): PracticeProduct {
  const [name, price] = WARES[index % WARES.length] ?? ['Gift card', '25.00'];
  const series = Math.floor(index / WARES.length);
  return {
    id: 11 + index,
    name: series === 0 ? name : `${name} no. ${series + 1}`,
    sku: `PS-${String(index + 1).padStart(4, '0')}`,
    price,
    stock: 4 + ((index * 7) % 23),
    status: 'publish',
    createdAt: new Date(FIRST_DAY + index * DAY_MS),
  };
}

function orderList(): readonly PracticeOrder[] {
  const rows = [
    ['Ines Carvalho', '57.50', 'processing'],
    ['Tomasz Nowak', '12.00', 'completed'],
    ['Maya Lindqvist', '143.00', 'completed'],
  ] as const;
  return rows.map(([customerName, total, status], index) => {
    return { id: 1203 - index, customerName, total, status, createdAt: new Date(FIRST_DAY + (40 - index) * DAY_MS) };
  });
}
