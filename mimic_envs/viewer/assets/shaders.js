// Programs of the graphics card. One draws all shapes, one draws planes, one the sky.

const LIGHT = `
uniform vec3 eye, sun, fog;
uniform float fogDistance, dim;
uniform mat4 shadowMatrix;
uniform highp sampler2DShadow shadowMap;
uniform float shadowTexel, shadows;

// Share of the sun's light that arrives, from 4 looks at the map, each the mean of 4 of its pixels.
float sunlight(vec3 place, float slope) {
  vec3 p = (shadowMatrix * vec4(place, 1.0)).xyz * 0.5 + 0.5;
  if (shadows < 0.5 || any(lessThan(p, vec3(0.0))) || any(greaterThan(p, vec3(1.0)))) return 1.0;
  p.z -= 0.0008 + 0.0025 * (1.0 - slope);
  float sum = 0.0;
  for (int i = 0; i < 4; i++) {
    vec2 shift = vec2(i & 1, i >> 1) * 1.6 - 0.8;
    sum += 0.25 * texture(shadowMap, p + vec3(shift * shadowTexel, 0.0));
  }
  vec2 edge = smoothstep(0.0, 0.1, p.xy) * smoothstep(1.0, 0.9, p.xy);
  return mix(1.0, sum, edge.x * edge.y);
}

vec3 foggy(vec3 color, vec3 place) {
  float far = length(place - eye) / fogDistance;
  return mix(fog, color, exp(-far * far));
}
`;

const SHAPE_VERTEX = `#version 300 es
layout(location = 0) in vec4 corner;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec3 position;
layout(location = 3) in vec4 rotation;
layout(location = 4) in vec4 size;
layout(location = 5) in vec4 rgba;
uniform mat4 camera;
out vec3 place, outward;
out vec4 color;
vec3 turned(vec4 q, vec3 v) {
  vec3 t = 2.0 * cross(q.yzw, v);
  return v + q.x * t + cross(q.yzw, t);
}
void main() {
  place = position + turned(rotation, corner.xyz * size.xyz + vec3(0.0, 0.0, corner.w * size.w));
  outward = turned(rotation, normal / size.xyz);
  color = rgba;
  gl_Position = camera * vec4(place, 1.0);
}`;

const SHAPE_FRAGMENT = `#version 300 es
precision highp float;
in vec3 place, outward;
in vec4 color;
uniform int mode;  // 0: lit, 1: depth only, 2: ghost, 3: marks, which shine by themselves
out vec4 pixel;
${LIGHT}
void main() {
  vec3 n = normalize(outward), toEye = normalize(eye - place);
  if (dot(n, toEye) < 0.0) n = -n;
  if (mode == 1) { pixel = vec4(1.0); return; }
  if (mode == 3) { pixel = vec4(color.rgb * (0.8 + 0.2 * dot(n, toEye)), color.a); return; }
  float rim = 1.0 - max(dot(n, toEye), 0.0);
  if (mode == 2) {
    pixel = vec4(color.rgb * (0.9 + 0.4 * rim), color.a * (0.55 + 0.9 * rim * rim));
    return;
  }
  float slope = max(dot(n, sun), 0.0);
  float lit = slope > 0.0 ? slope * sunlight(place, slope) : 0.0;
  vec3 ambient = mix(vec3(0.42, 0.40, 0.40), vec3(0.62, 0.64, 0.68), n.z * 0.5 + 0.5);
  float shine = pow(max(dot(n, normalize(sun + toEye)), 0.0), 40.0) * (lit > 0.0 ? 0.12 : 0.0);
  vec3 seen = color.rgb * (ambient + 0.55 * lit) + shine + 0.05 * pow(rim, 3.0);
  pixel = vec4(foggy(seen, place), color.a);
}`;

const PLANE_VERTEX = `#version 300 es
layout(location = 0) in vec2 corner;
uniform mat4 camera;
uniform vec3 planePosition, planeX, planeY;
uniform vec2 middle, reach;
out vec3 place;
out vec2 local;
void main() {
  local = middle + corner * reach;
  place = planePosition + planeX * local.x + planeY * local.y;
  gl_Position = camera * vec4(place, 1.0);
}`;

const PLANE_FRAGMENT = `#version 300 es
precision highp float;
in vec3 place;
in vec2 local;
uniform vec3 first, second, planeZ;
uniform vec2 halfSize;
uniform float tile, opacity;
out vec4 pixel;
${LIGHT}
// Mean of a square wave of period 2 over a pixel, from -1 to 1: no flicker far away.
vec2 wave(vec2 x, vec2 width) {
  vec2 before = abs(fract((x - 0.5 * width) / 2.0) - 0.5);
  vec2 after = abs(fract((x + 0.5 * width) / 2.0) - 0.5);
  return 2.0 * (before - after) / width;
}
void main() {
  if (halfSize.x > 0.0 && abs(local.x) > halfSize.x) discard;
  if (halfSize.y > 0.0 && abs(local.y) > halfSize.y) discard;
  vec3 color = first;
  if (tile > 0.0) {
    vec2 x = local / tile;
    vec2 s = wave(x, max(fwidth(x), vec2(0.01)));
    color = mix(first, second, 0.5 - 0.5 * s.x * s.y);
  }
  float slope = max(dot(planeZ, sun), 0.0);
  color *= dim * (0.62 + 0.40 * slope * sunlight(place, slope));
  pixel = vec4(foggy(color, place), opacity);
}`;

const SKY_VERTEX = `#version 300 es
layout(location = 0) in vec2 corner;
out vec2 screen;
void main() { screen = corner; gl_Position = vec4(corner, 0.9999, 1.0); }`;

const SKY_FRAGMENT = `#version 300 es
precision highp float;
in vec2 screen;
uniform vec3 ahead, right, up, fog, zenith;
uniform vec2 slopes;
out vec4 pixel;
void main() {
  vec3 d = normalize(ahead + screen.x * slopes.x * right + screen.y * slopes.y * up);
  pixel = vec4(mix(fog, zenith, smoothstep(0.0, 0.7, abs(d.z))), 1.0);
}`;
