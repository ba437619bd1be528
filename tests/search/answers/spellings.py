"""Answers worked out by hand: those of one class are equivalent, those of different classes are not."""

_CLASSES = r"""
0.5 ;; 1/2 ;; \frac12 ;; \frac{1}{2} ;; .5 ;; \dfrac 1 2 ;; 50/100 ;; $\frac{1}{2}$ ;; \(\frac12\) ;; ½ ;; 2^{-1}
;; \boxed{0.5} ;; {1 \over 2} ;; \cos 60^\circ ;; \sin(\pi/6) ;; \sin 30^{\circ} ;; x=\frac12 ;; 5\times10^{-1}
;; 5E-1 ;; 0.5\% ;; + \frac12 ;; \left(\frac{1}{2}\right) ;; \frac{1}{2}\text{ cm} ;; \frac{\sqrt{4}}{4}
;; \mathbf{\frac{1}{2}} ;; \sum_{k=1}^{1} \frac{k}{2} ;; 2^-1
-1/2 ;; -\frac{1}{2} ;; \frac{-1}{2} ;; \frac{1}{-2} ;; -0.5 ;; -½
7/2 ;; 3\frac{1}{2} ;; 3 \frac12 ;; 3 1/2 ;; 3½ ;; 3.5
3\frac{7}{2} ;; \frac{21}{2}
1/3 ;; 0.\overline{3} ;; 0.333333333 ;; 0.3333333333333333 ;; 0.\bar{3} ;; \frac{33.\overline{3}}{100}
0.33
0.142858
1/7 ;; 0.142857 ;; 0.1428571
1/6 ;; 0.1\overline{6} ;; 0.1666666667
1000 ;; 1,000 ;; 1{,}000 ;; 1\,000 ;; 10^3 ;; \$1,000 ;; 1e3 ;; 1,000.00 ;; 1000. ;; \text{1000} ;; £1000
;; 1000 dollars ;; USD 1000
1234567 ;; 1,234,567 ;; 1{,}234{,}567 ;; 1,\!234,\!567 ;; 1\,234\,567
6\text{ million} ;; 6000000 ;; 6 million ;; 500000 \text{ dozen}
\sqrt{2} ;; 2^{1/2} ;; 2^{0.5} ;; sqrt(2) ;; √2 ;; \frac{2}{\sqrt{2}} ;; \sqrt 2 ;; \sqrt2 ;; \sqrt[2]{2}
;; 2\cos 45^\circ ;; \sqrt[-2]{1/2}
\frac{\sqrt{3}}{3} ;; \frac{1}{\sqrt{3}} ;; \tan 30\degree ;; \sqrt{\frac13} ;; 3^{-1/2}
\frac{1+\sqrt{5}}{2} ;; \frac{\sqrt{5}+1}{2} ;; \frac12+\frac{\sqrt5}{2} ;; \frac{2}{\sqrt{5}-1}
-2 ;; \sqrt[3]{-8} ;; (-8)^{1/3} ;; -\sqrt{4} ;; \lfloor -1.5 \rfloor ;; \lceil -\sqrt{5} \rceil ;; i^2-1
2\pi ;; 2π ;; 2pi ;; \pi\cdot 2 ;; \pi + \pi ;; 2*pi ;; \frac{4\pi}{2}
6.28
3.14
3.14159
\pi ;; \text{pi} ;; \pi \approx 3.14
22/7
e^2 ;; \mathrm{e}^2 ;; \exp(2) ;; e\cdot e
\ln 2 ;; \ln(2) ;; \log_e 2 ;; \ln{2} ;; -\ln\frac12 ;; \frac{1}{2}\ln 4 ;; \ln|-2|
\log_2 3 ;; \frac{\ln 3}{\ln 2} ;; \log_{2}{3} ;; \frac{\log 3}{\lg 2}
x^2+2x+1 ;; (x+1)^2 ;; 1+2x+x^2 ;; x^2+2*x+1 ;; (x+1)(x+1) ;; y=x^2+2x+1 ;; f(x)=x^2+2x+1 ;; x**2+2x+1 ;; x²+2x+1
;; p(x) = [x+1]^2
2x+3 ;; y=2x+3 ;; 3+2x ;; 2x-y+3=0 ;; y - 3 = 2x ;; 4x-2y=-6 ;; a_n=2x+3
x^2+y^2=25 ;; y^2+x^2=25 ;; x^2+y^2-25=0 ;; 2x^2+2y^2=50 ;; 25=x^2+y^2 ;; \frac{x^2}{25}+\frac{y^2}{25}=1
x^2+y^2=5
x^2+y^2=5z
a=b ;; b=a
a=b=c
x^2+y^2\ne 5
x>5 ;; 5<x ;; x-5>0 ;; (5,\infty) ;; x\in(5,\infty) ;; 2x>10 ;; -x<-5 ;; (5,+\infty) ;; \{x \mid x>5\}
;; \{x\in\mathbb{R} : x > 5\} ;; 5<x<\infty
x\ge5 ;; x \geq 5 ;; [5,\infty) ;; 5\le x ;; x>=5 ;; x≥5
x<5 ;; (-\infty,5) ;; 5>x
-2\le x\le 7 ;; [-2,7] ;; x\in[-2,7] ;; 7\ge x\ge-2 ;; x\ge-2 \text{ and } x\le7 ;; x \le 7, x \ge -2
-2<x<7 ;; (-2,7) ;; \langle -2, 7\rangle ;; (x,y)=(-2,7) ;; x=-2,y=7
x+y<1 ;; y+x<1 ;; 1>x+y ;; 2x+2y<2
x+y>1
x<y<1
x>0, y>0
x>0, y<0
(-\infty,2)\cup(3,\infty) ;; (3,\infty) U (-\infty,2) ;; x<2 \text{ or } x>3 ;; x > 3, x < 2
x\ne3 ;; (-\infty,3)\cup(3,\infty) ;; x != 3 ;; \mathbb{R}\setminus\{3\}
\mathbb{R}\setminus\{-1,\sqrt{2}\} ;; (-\infty,-1)\cup(-1,\sqrt2)\cup(\sqrt2,\infty)
;; \mathbb{R} \setminus \{\sqrt2,-1\}
\mathbb{R} ;; (-\infty,\infty) ;; all real numbers ;; \text{All real numbers}
\{-1\}\cup[0,7) ;; [0,7)\cup\{-1\}
\{1,2,3\} ;; 1,2,3 ;; 3,2,1 ;; {1,2,3} ;; 1, 2, \text{ and } 3 ;; 1;2;3 ;; x=1,2,3 ;; x=1, x=2, x=3
;; x \in \{1,2,3\} ;; x_1=1,x_2=2,x_3=3
1,1,2
1,2;3,4
(1,2,3) ;; \left(1,2,3\right) ;; (1;2;3) ;; (x,y,z)=(1,2,3) ;; z=3,x=1,y=2
(3,2,1)
(2,1),(1,2) ;; (1,2);(2,1) ;; \{(1,2),(2,1)\} ;; x=1,y=2 \text{ or } x=2,y=1 ;; (x,y)=(1,2),(2,1)
f(1)=2, f(2)=3
f(1)=3, f(2)=2
1\pm\sqrt{2} ;; 1+\sqrt{2},1-\sqrt{2} ;; \{1-\sqrt2,1+\sqrt2\} ;; x=1\pm\sqrt2 ;; 1\mp\sqrt2
\pm1\pm2 ;; 3,-1,1,-3
\pm1\mp2 ;; -1,1
\pm 3 ;; 3,-3 ;; x=3 \text{ or } x=-3 ;; ±3 ;; \{\pm3\}
3+4i ;; 4i+3 ;; 3+4\mathrm{i} ;; z=3+4i
\begin{pmatrix}1\\2\end{pmatrix} ;; \begin{bmatrix} 1 \\ 2 \\ \end{bmatrix}
;; \left[\begin{array}{c}1\\2\end{array}\right] ;; \frac{1}{2}\begin{pmatrix}2\\4\end{pmatrix}
;; \begin{pmatrix}2\\4\end{pmatrix}/2
\begin{pmatrix}1&2\end{pmatrix}
\begin{pmatrix}1&2\\3&x\end{pmatrix} ;; \begin{pmatrix}1&0\\0&1\end{pmatrix}\begin{pmatrix}1&2\\3&x\end{pmatrix}
;; \begin{pmatrix}0&1\\1&x\end{pmatrix}+\begin{pmatrix}1&1\\2&0\end{pmatrix}
204_5 ;; 204_{5} ;; 204_{\text{five}} ;; 204 base 5 ;; 0204_5
204_7
204
A ;; (A) ;; \text{A} ;; \textbf{(A)} ;; A) ;; Option A ;; Choice (A) ;; (A) 5 ;; \textbf{(A) } 12
B ;; \text{(B)}
(A) \text{ and } (B) ;; A and B ;; B, A ;; \text{(A), (B)}
yes ;; Yes ;; \text{Yes} ;; YES ;; Yes.
no ;; \text{No}
red, blue ;; \text{blue and red}
The answer is a regular hexagon ;; \text{the answer is a regular hexagon}
7 p.m. ;; 7\text{ p.m.} ;; 7 pm
7 a.m.
12 ;; 12\text{ inches} ;; 12 apples ;; 12 cm^2 ;; 12\text{ m}/\text{s} ;; 12 m/s ;; 12 km/h ;; 12^\circ ;; 12\%
;; 12.0 ;; \approx 12 ;; x = 12 \approx 12.3 ;; \text{Area}=12 ;; AB=12 ;; |AB| = 12 ;; f(3)=12
;; m\angle ABC = 12^\circ ;; a = b = 12 ;; 12! / 11! ;; (3)(4) ;; 24 \div 2 ;; |{-12}| ;; =12 ;; \gcd(24,36)
;; \max(7,12) ;; \min\{12,13\} ;; \lcm(4,6) ;; \begin{vmatrix}4&2\\2&4\end{vmatrix} ;; S_n : S = 12 ;; 3+4+5 = 12
;; 12 = x ;; x \approx 12
12:00 ;; \text{12:00} ;; 12 : 00
1:2 ;; A:B=1:2
120 ;; 5! ;; \binom{10}{3} ;; {10 \choose 3} ;; \prod_{k=1}^{5} k
x^{2/3} ;; \sqrt[3]{x^2} ;; (x^2)^{1/3} ;; \sqrt[3]{x}^2
|x| ;; \sqrt{x^2} ;; abs(x) ;; \lvert x\rvert
x
-x
\frac{a}{b} ;; a/b ;; ab^{-1} ;; \frac{2a}{2b}
\sin^2 x ;; (\sin x)^2 ;; \sin x \sin x ;; 1-\cos^2 x ;; \frac{1-\cos 2x}{2} ;; \sin^2(x)
\tan x ;; \frac{\sin x}{\cos x} ;; tanx ;; \frac{1}{\cot x}
\sin^{-1} x ;; \arcsin x
f(x)
f(\begin{pmatrix}1\\x\end{pmatrix}) ;; f(\begin{bmatrix}1\\x\end{bmatrix})
f(y)
f'(x)
2x ;; \frac{dy}{dx}=2x ;; \frac{d^2y}{dx^2} = 2x
\frac{dy}{dx}
\frac{y}{x} ;; y/x
f_n(x)
\vec{x}
\emptyset ;; \varnothing ;; \{\}
\infty ;; +\infty ;; infinity
-\infty
\frac{n(n+1)}{2} ;; \binom{n+1}{2} ;; n(n+1)/2
\sum_{k=1}^{n} k^2 ;; \sum_{i=1}^n i^2
\sum_{k=1}^{n} F_{n-k}F_k ;; \sum_{j=1}^{n} F_jF_{n-j}
\sum_{k=1}^{m} k^2
n! ;; n(n-1)!
10! ;; 3628800
2^{2025}
2^{2024} ;; \frac{2^{2025}}{2}
2^{-99} ;; 1/2^{99}
1/2^{98}
0 ;; -0 ;; \sqrt{2}-\sqrt{2} ;; \sin \pi ;; x-x ;; \sqrt{2}+\sqrt{3}-\sqrt{5+2\sqrt{6}} ;; \log 1 ;; 0^2
10^{-50}
e^{-300}
e^{\pi\sqrt{163}}
262537412640768744
[1,2]
(1,2]
[1,2)
[5]
n \text{ is even}
n \text{ is odd}
5 \text{ or more}
zw
|z|^2
z^2
"""
"""A class begins with its line; lines that begin with `;;` go on with it."""

CLASSES: tuple[tuple[str, ...], ...] = tuple(
    tuple(spelling.strip() for spelling in line.split(";;"))
    for line in _CLASSES.strip().replace("\n;;", ";;").splitlines()
)
