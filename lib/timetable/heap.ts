/** An entry of a heap: its time, and its place in the heap. */
export interface HeapNode {
  at: number
  /** The node's place in the heap, -1 outside of it; the heap's own. */
  index: number
}

/** A binary heap by `at`, earliest first, that can remove any node. `push`, `remove` and `move` are O(log n). */
export class Heap<Node extends HeapNode> {
  readonly #nodes: Node[] = []

  peek(): Node | undefined {
    return this.#nodes[0]
  }

  push(node: Node): void {
    this.#up(node, this.#nodes.length)
  }

  remove(node: Node): void {
    const { index } = node
    if (index < 0) return
    node.index = -1
    const last = this.#nodes.pop() as Node
    if (last === node) return
    if (index > 0 && last.at < (this.#nodes[(index - 1) >> 1] as Node).at) this.#up(last, index)
    else this.#down(last, index)
  }

  /** Moves a node of the heap to another time. */
  move(node: Node, at: number): void {
    const earlier = at < node.at
    node.at = at
    if (earlier) this.#up(node, node.index)
    else this.#down(node, node.index)
  }

  #up(node: Node, start: number): void {
    const nodes = this.#nodes
    let index = start
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = nodes[parentIndex] as Node
      if (parent.at <= node.at) break
      nodes[index] = parent
      parent.index = index
      index = parentIndex
    }
    nodes[index] = node
    node.index = index
  }

  #down(node: Node, start: number): void {
    const nodes = this.#nodes
    const { length } = nodes
    let index = start
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= length) break
      if (childIndex + 1 < length && (nodes[childIndex + 1] as Node).at < (nodes[childIndex] as Node).at) childIndex++
      const child = nodes[childIndex] as Node
      if (child.at >= node.at) break
      nodes[index] = child
      child.index = index
      index = childIndex
    }
    nodes[index] = node
    node.index = index
  }
}
