// Marks and bars as SVG.
import { colourOf, type Mark, markShape, type Shape } from './marks.js'

/** Shapes of one colour. */
export function Drawn({ mark, shapes, class: name = '' }: { mark: Mark; shapes: readonly Shape[]; class?: string }) {
  return (
    <g class={`${colourOf(mark)} ${name}`}>
      {shapes.map(({ fill, line, width = 1 }, index) => (
        <g key={index}>
          {fill !== undefined && fill !== '' && <path class="f" d={fill} />}
          {line !== undefined && <path class="o" d={line} stroke-width={width} />}
        </g>
      ))}
    </g>
  )
}

/** A mark beside a text that says the same. */
export function Icon({ mark, r = 4.5 }: { readonly mark: Mark; readonly r?: number }) {
  return (
    <svg class="ico" viewBox="0 0 14 14" aria-hidden="true">
      <Drawn mark={mark} shapes={[markShape(mark, 7, 7, r)]} />
    </svg>
  )
}
