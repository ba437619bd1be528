# ruff: noqa: E501, RUF001 (tables of spellings, in several scripts)
"""Answers as models and files write them: pairs that are one answer, and pairs that are not."""

_SAME = r"""
**1/2** == 1/2
`5` == 5
**B** == B
*42* == 42
+-7 == \pm 7
+/-7 == \pm7
±7 == 7, -7
plus or minus 7 == \pm 7
1 +- \sqrt{2} == 1\pm\sqrt2
x=1 或 x=-2 == 1, -2
x=1 oder x=-2 == 1,-2
x=1 ou x=-2 == 1,-2
x=1 o x=-2 == 1,-2
x = 1 y x = -2 == 1,-2
x=1 или x=-2 == 1,-2
x=1 または x=-2 == 1,-2
x=1または x=-2 == 1,-2
1和2 == 1,2
2 et 3 == 2,3
2 y 3 == 2,3
2 e 3 == 2,3
2 und 3 == 2,3
x=1 \quad x=-2 == 1,-2
x=1 \quad y=2 == (1,2)
x=1\\y=2 == (1,2)
x=1, \\ y=2 == (1,2)
x=1 \qquad y=2 == y=2, x=1
\begin{cases}x=1\\y=2\end{cases} == (1,2)
\left\{\begin{array}{l}x=1\\y=2\end{array}\right. == (1,2)
\begin{aligned}x&=1\\y&=2\end{aligned} == (1,2)
3 tenths == 3/10
5 halves == 5/2
5 lakh == 500000
2 thirds == 2/3
3 hundredths == 0.03
5 crore == 50000000
2 dozen == 24
12 min == 12
12 \mathrm{~min} == 12
12 minutes == 12
9 (apples) == 9
25°C == 25
25^\circ\text{C} == 25
25 degrees Celsius == 25
5\,\mathrm{m/s^2} == 5
5 m/s^2 == 5
9.8\ \text{m}\,\text{s}^{-2} == 9.8
5 \mu m == 5
5\,\mu\text{m} == 5
5 μm == 5
5元 == 5
12个 == 12
12个苹果 == 12
5万 == 50000
5万元 == 50000
3億円 == 300000000
5 яблок == 5
5 км == 5
5 км/ч == 5
5時間 == 5
A^{-1}=\begin{pmatrix}1&2\\3&4\end{pmatrix} == \begin{pmatrix}1&2\\3&4\end{pmatrix}
P(X=2)=0.5 == 0.5
P(A|B)=0.5 == 0.5
E[X]=2 == 2
\mathbb{E}[X]=2 == 2
\operatorname{Var}(X)=2 == 2
m_{\max}=5 == 5
y_{min}=-3 == -3
\lim_{x\to 0} \frac{\sin x}{x} = 1 == 1
\int_0^1 x\,dx = \frac12 == 1/2
\det A = 5 == 5
\det(A) = 5 == 5
f^{-1}(x)=2x == 2x
\angle ABC = 30^\circ == 30
\sin A = \frac12 == 1/2
[ABC] = 12 == 12
S_{\triangle ABC} = 6 == 6
n(A \cap B) = 5 == 5
1, 2, \ldots, n == 1,2,\dots,n
1+2+\cdots+n == 1+2+\ldots+n
1, 2, ..., n == 1,2,\dots,n
a_1, a_2, \ldots, a_n == a_1,a_2,…,a_n
0.333... == 1/3
0.1666\ldots == 1/6
0.142857142857... == 1/7
(101)_2 == 101_2
101_{(2)} == 101_2
101 (base 2) == 101_2
101 in base 2 == 101_2
101_{\text{two}} == 101_2
3 to 4 == 3:4
3 : 4 == 3:4
3∶4 == 3:4
1\over 2 == 1/2
\sqrt{2} \over 2 == \frac{\sqrt2}{2}
n \choose 2 == \binom n2
6.02 x 10^23 == 6.02\times10^{23}
6.02*10^23 == 6.02e23
1 234 567 == 1234567
1'234'567 == 1234567
1.234.567 == 1234567
|x|<2 == (-2,2)
|x-1|\le 2 == [-1,3]
|x|>2 == (-\infty,-2)\cup(2,\infty)
x^2<4 == (-2,2)
1<|x|<2 == (-2,-1)\cup(1,2)
[1,2]\cup[2,3] == [1,3]
(1,2]\cup(2,3) == (1,3)
[1,3]\cap[2,4] == [2,3]
\{1\}\cup(1,2] == [1,2]
\mathbb{R}\setminus[1,2] == (-\infty,1)\cup(2,\infty)
\{x \in \mathbb{Z} : 1 \le x \le 3\} == \{1,2,3\}
\{x \in \mathbb{Z}^+ : x \le 3\} == \{1,2,3\}
1.4142135623730951 == \sqrt{2}
3.141592653589793 == \pi
0.30000000000000004 == 0.3
2.9999999999999996 == 3
0.6931471805599453 == \ln 2
1.618033988749895 == \frac{1+\sqrt5}{2}
\sqrt{1/n} == \frac{1}{\sqrt n}
\ln a-\ln b == \ln\frac ab
9 chickens and 10 rabbits == 10 rabbits and 9 chickens
9 chickens, 10 rabbits == chickens = 9, rabbits = 10
2 hours and 30 minutes == 150 minutes
5 feet 3 inches == 63 inches
5 ft 3 in == 5 feet, 3 inches
width = 5, length = 10 == length = 10, width = 5
Area: 5 == 5
\text{Area} = 5\text{ cm}^2 == 5
x\in(-2,2) == (-2,2)
\$5 == 5 dollars
5% == 5
US$5 == 5
€5 == 5
B. 42 == B
negative 5 == -5
minus 5 == -5
5 squared == 25
5 square meters == 5
\{x : x > 2\} == (2,\infty)
x \neq 2, x \neq 3 == \mathbb{R}\setminus\{2,3\}
5 kg·m/s^2 == 5
5\ \mathrm{kg\cdot m/s^2} == 5
5 \text{ cubic centimeters} == 5
5 cm^3 == 5
10 \Omega == 10
5 miles per hour == 5
x_{\max} = 3 == 3
\text{min} = 5 == 5
(1,2),(3,4) == (3,4),(1,2)
\{(1,2),(3,4)\} == \{(3,4),(1,2)\}
[(1,2),(3,4)] == [(3,4),(1,2)]
x=-2 \lor x=1 == 1,-2
x=1 ∨ x=-2 == 1,-2
1；2 == 1,2
1、2 == 1,2
5\ \mathrm{kg/m^{2}} == 5
5\text{ sq. units} == 5
5 meters squared == 5
\boxed{58,500} == 58500
x\ne 2 == \mathbb{R}\setminus\{2\}
x^2 \ne 4 == \mathbb{R}\setminus\{-2,2\}
|x| \ne 2 == \mathbb{R}\setminus\{-2,2\}
4>x^2 == (-2,2)
\{x \in \mathbb{Z} : x > 2\} == \{n \in \mathbb{Z} \mid n > 2\}
\{x \in \mathbb{Z} : x > 2, x < 6\} == \{3,4,5\}
\{x \in A : x > y\} == \{x \in A \mid x > y\}
\{x \in \mathbb{Z} : \sqrt2 < x < 4\} == \{x \in \mathbb{Z} \mid 4 > x > \sqrt2\}
(1,a)\cup(2,b) == (2,b)\cup(1,a)
(1,a)\cup\{2\} == \{2\}\cup(1,a)
5 apples per day == 5
5 dollars/person == 5
3.14159... == 3.14159
5 µm == 5
\{1, 2, \ldots, n\} == \{1,2,\dots,n\}
5\text{ 元} == 5
5 euros == €5
A^T = 5 == 5
5個の == 5
x=5 cm \quad y=3 cm == (5,3)
[2,3]\cup[1,2] == [1,3]
(1,3)\cup[1,2] == [1,3)
[1,4]\cup(2,3) == [1,4]
[1,2]\cup(1,2] == [1,2]
[1,2)\cap(1,2] == (1,2)
[1,2]\cap[3,4] == \emptyset
[1,2]\cap[2,4] == \{2\}
5 in total == 5
2 \cdot \boxed{3} == 6
m_\max = 5 == 5
|x|>2, |x|<5 == (-5,-2)\cup(2,5)
x^3+x \ne 3 == 3 \ne x^3+x
x^3+x<3, x>1 == x>1, x^3+x<3
0.25000000000000006 == 1/4
0.12345678900000001 == 0.123456789
x<3, x \neq 1 == (-\infty,1)\cup(1,3)
x > 1, x > 2 == x>1 or x>2
**x = 5** == 5
***5*** == 5
1/2 == **\frac{1}{2}**
(A) == **(A)**
x = -1 ∨ x = 2 == -1,2
x = 3, \text{ ou } x=5 == 3,5
x=3 \text{ ou } x=5 == 3,5
x=3 \text{ y } x=5 == 3,5
3 \text{ et } 5 == 3,5
3 \text{ oder } 5 == 3,5
\text{3 or 5} == 3,5
a=1\quad b=2\quad c=3 == (1,2,3)
x=1;\quad y=2 == (1,2)
x=1,\qquad y=2 == (1,2)
\begin{array}{l}x=1\\y=2\end{array} == (1,2)
\begin{align*}x&=1\\y&=2\end{align*} == (1,2)
\pm\sqrt{2} == +\sqrt2, -\sqrt2
2 +/- 3 == 5,-1
2 ∓ 3 == 5,-1
x = 2 \pm 3i == 2+3i, 2-3i
5 fifths == 1
7 eighths == 7/8
3 sixteenths == 3/16
3 quarters == 0.75
2.5 million == 2500000
3 hundred == 300
5 K == 5 K
30 mins == 30
12 sec == 12
12 \text{ min} == 12
7\,\text{cm} == 7
7\ \mathrm{cm}^{2} == 7
7 ft == 7
7 square feet == 7
3.5 \times 10^{8}\ \mathrm{m/s} == 350000000
5 N·m == 5 N·m
100 km/hr == 100
5 (meters) == 5
5 [cm] == 5 [cm]
15 cents == 15
¥100 == 100
100円 == 100
100日元 == 100
3人 == 3
3本 == 3
20歳 == 20
5匹 == 5
5枚 == 5
8名学生 == 8
5 штук == 5
5 litros == 5
5 Äpfel == 5
5 élèves == 5
B^{-1} = 3 == 3
\mathbf{A}^{-1} = 3 == 3
P(A \cap B) = 1/4 == 0.25
P(A \mid B) = 1/4 == 0.25
\Pr(X>1)=1/4 == 0.25
E(X) = 3 == 3
\sigma = 3 == 3
\mu = 3 == 3
f_{\min} = 3 == 3
a_{max} = 3 == 3
v_{\text{max}} = 3 == 3
\max f(x) = 3 == 3
\min_{x} f(x) = 3 == 3
\lim_{n\to\infty} a_n = 3 == 3
\tan\theta = 3 == 3
\overline{AB} = 3 == 3
\triangle ABC = 3 == 3
|\vec{a}| = 3 == 3
\frac{dy}{dx} = 3 == 3
y' = 3x == 3x
T(n) = 3n == 3n
1,2,3,\ldots == 1,2,3,...
1+\frac12+\cdots+\frac1n == 1+\frac12+\ldots+\frac1n
x_1+x_2+\cdots+x_n == x_1+x_2+\dots+x_n
0.\dot{3} == 1/3
0.1\dot{6} == 1/6
0.272727... == 3/11
1.41421356... == 1.41421356
(1011)_{2} == 1011_2
2 : 3 : 4 == 2:3:4
2 to 3 to 4 == 2:3:4
a \over b == a/b
{a+b \over c} == \frac{a+b}{c}
3 × 10^5 == 300000
3 X 10^5 == 300000
3*10^5 == 300000
12 345 == 12345
12 345.67 == 12345.67
-1 234 567 == -1234567
|x+1|\geq 3 == (-\infty,-4]\cup[2,\infty)
|2x-1|<3 == (-1,2)
-1<x<1 \text{ or } 1<x<3 == (-1,1)\cup(1,3)
(-\infty,1]\cup[1,\infty) == \mathbb{R}
x\in\mathbb{R}, x\ne 0 == \mathbb{R}\setminus\{0\}
x^2\ge 9 == (-\infty,-3]\cup[3,\infty)
(0,1)\cup(1,2)\cup\{1\} == (0,2)
\{x \in \mathbb{R} : |x| < 2\} == (-2,2)
\{n \in \mathbb{N} : n < 4, n > 0\} == \{1,2,3\}
\{x \in \mathbb{Z} \mid -2 < x < 2\} == \{-1,0,1\}
2.718281828459045 == e
0.5773502691896258 == \frac{1}{\sqrt3}
1.0000000000000002 == 1
99.99999999999999 == 100
-1.4142135623730951 == -\sqrt2
0.7071067811865476 == \frac{\sqrt2}{2}
1.7320508075688772i == \sqrt3 i
\sqrt{x/y} == \frac{\sqrt x}{\sqrt y}
\ln x^2 == 2\ln|x|
3 boys and 4 girls == 4 girls and 3 boys
3 boys, 4 girls == girls: 4, boys: 3
boys = 3, girls = 4 == 3 boys and 4 girls
Tom: 3, Ann: 4 == Ann: 4, Tom: 3
1 hour 30 minutes == 90 minutes
2 weeks 3 days == 17 days
5'10 == 5'10
6 pounds 4 ounces == 100 ounces
x \approx 3.14 == 3.14
\text{No solution} == no solution
\text{无解} == 无解
option (C) 12 == C
Option C: 12 == C
choice B, 7 apples == (B)
HTH == \text{HTH}
HTH, HHT == \text{HHT, HTH}
PQR = 12 == 12
\frac12\frac13 == 1/6
2^3\frac{1}{2} == 4
r^2\frac{1}{3} == \frac{r^2}{3}
\sqrt2\frac12 == \frac{\sqrt2}{2}
3\frac12 x == \frac{7x}{2}
0.(3) == 1/3
0.1(6) == 1/6
12.(36) == \frac{136}{11}
0.5(x+1) == \frac{x+1}{2}
7 PM == 7 p.m.
7:00\text{ PM} == 7\text{ p.m.}
3:30 PM == 3:30\text{ p.m.}
\text{3:30 P.M.} == 3:30 pm
PM = 5 == 5
\mathbb{R} - \{-1,2\} == \mathbb{R} \setminus \{-1,2\}
[0,5]-\{5\} == [0,5)
2sinA == 2\sin A
2xsinx == 2x\sin x
2sinxcosx == \sin 2x
2sintheta == 2\sin\theta
xln(x) == x\ln x
cosAcosB == \cos A\cos B
xmin = 5 == 5
\$500(1.02)^n == 500 \cdot 1.02^n
180^\circ(n-2) == 180(n-2)
\nicefrac{1}{2} == \sfrac12
\textcolor{red}{5} == 5
{\color{blue} 5} == 5
\hspace{1cm} 5 == 5
10\text{,}000 == 10000
2\pi{r} == 2\pi r
\sqrt{(x-4)^2} == |x-4|
e^{6x} == (e^{3x})^2
xe^{x^2} == e^{x^2}x
\frac{(n+1)!}{n!} == n+1
\cosh^2 x - \sinh^2 x == 1
"""

_DIFFERENT = r"""
x=1 或 x=-2 != -2
x = 1 oder x = -2 != -2
x=1 \quad x=-2 != -2
x=1 \quad y=2 != 2
+-7 != -7
+-7 != 7
3 tenths != 3
5 halves != 5
5 lakh != 5
5 April != 5
April 5 != 5
5 quarters != 5
9 chickens and 10 rabbits != 10 chickens and 9 rabbits
\{x \in \mathbb{Z} : 1 \le x \le 3\} != [1,3]
\{x \in \mathbb{N} : 1 \le x \le 3\} != [1,3]
\{x \in \mathbb{Q} : 1 \le x \le 3\} != [1,3]
\{x \in \mathbb{Z} : x > 2\} != (2,\infty)
2020-01-05 != 2020-02-04
2020/01/05 != 2020/02/04
01/05/2020 != 01/02/2020
5–6 != 6–7
5-6 != 6-7
5-6, 7-8 != 6-7, 8-9
0x1F != 0b101
0x1F != 0
5 km != 5 m
5 km != 5 miles
5 kg != 5 g
\$5 != 5 cents
€5 != \$5
25°C != 25°F
5 m/s != 5 km/h
5 hours != 5 minutes
2 hours 30 minutes != 30 hours 2 minutes
5万 != 5
5月 != 5
5時 != 5
5倍 != 5
5个以上 != 5
3成 != 3
half of 5 != 5
5 more than x != 5
5 times != 5
5 out of 6 != 5
5 of 6 != 5
5th != 5
5 o'clock != 5
5 pm != 5
5 pm != 5 am
5 Millionen != 5
5 milliards != 5
5 тысяч != 5
5 mil != 5
1, 2, \ldots, n != 1,3,\ldots,n
1, 2, \ldots, n != 2,1,\ldots,n
101_2 != 101_3
3 to 4 != 4 to 3
[1,2]\cup[3,4] != [1,4]
[1,2)\cup(2,3] != [1,3]
|x|<2 != |x|\le2
|x|<2 != |x|>2
1.4142135623730951 != \sqrt{2}+10^{-10}
1.4142135623731 != \sqrt{3}
P(X=1)=0.2, P(X=2)=0.8 != P(X=1)=0.8, P(X=2)=0.2
width = 5, length = 10 != width = 10, length = 5
\sqrt{n} != \sqrt{-n}
\ln x != \ln|x|
5 feet 3 inches != 3 feet 5 inches
5 apples and 3 pears != 3 apples and 5 pears
x<2 or x>3 != 2<x<3
5 BC != 5
5 plus 3 != 5
12:30 != 12:45
7:30 pm != 7:30 am
5/6/2020 != 6/5/2020
555-1234 != 556-1235
3-2 != 4-3
5 dozen != 5
5 percent more != 5
5 left != 5
-5 != 5
5 squared != 5
5 factorial != 5
5 or more != 5
5 less than x != 5
no more than 5 != 5
5 K != 6
#FF0000 != #00FF00
1 1/2 != 1/2
x=1, y=2 != x=2, y=1
x≥5 且 x≤7 != 5
3 + 5i != 3 - 5i
10^{-3} != 10^3
5 hundred != 5
5 bn != 5
\{x \in \mathbb{Z} : x > 2\} != \{x \in \mathbb{N} : x > 2\}
\{x \in \mathbb{Z} : 0 \le x \le 500\} != [0,500]
5 \text{ J/kg} != 5 \text{ J/g}
0.12345678912345678 != 0.12345678912355678
[1,2]\cap[2,4] != [1,4]
5 km, 3 km != 5 m, 3 m
半分 != 1/2
5 km 3 kg != 3 km 5 kg
2 x 3 != 6
x^2<-1 != (-1,1)
|x|<a != |x|<b
5^{\text{th}} != 5
5 \text{ kg}^{10} != 6
12-34 x != -22
5 metros != 6
\lim_{x\to 0} f(x) != 0
P(A) != P(B)
P(1,2), 3 != 3
P(X=1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1) = 5 != 6
5 st != 5
x<i != x<0
\{1,x\}\cup\{2\} != \{1\}\cup\{2\}
5 thousand x != 5000
(1,2)\cup(3,4)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6)\cup(5,6) != (1,2)
\{x \in \mathbb{Z} : \} != \mathbb{Z}
\{x \in y, 1\} != \{x, 1\}
\mu x != x
\mu_5 != 5
(1,2)\setminus x != (1,2)
5 \mathrm{m^a} != 5
x \ne y != x \ne z
5x thousand != 5000x
x=3 \text{ ou } x=5 != 5
a=1\quad b=2\quad c=3 != 3
x=1\quad x=2 != 1
3 quarters != 3
7 eighths != 7
2 score != 3
5 Uhr != 5
5 Mai != 5
5 mayo != 5
5 мая != 5
5 января != 5
5月5日 != 5
3月 != 4月
5时30分 != 5
2024-12-25 != 2024-12-24
25.12.2024 != 24.12.2024
12/25/2024 != 11/25/2024
3-5 years != 2-4 years
10–20 != 20–30
\text{5--6} != \text{6--7}
0xFF != 0xFE
0o17 != 0b11
1:30 != 1:31
5 km != 5 cm
5 ft != 5 in
5 lb != 5 oz
5 USD != 5 EUR
30^\circ != 30 \text{ rad}
5 cm^2 != 5 cm^3
5 \text{ m} != 5 \text{ s}
5 hours != 5 days
5 kWh != 5 kW
3 boys and 4 girls != 4 boys and 3 girls
boys: 3, girls: 4 != boys: 4, girls: 3
\{x \in \mathbb{Z} : x>2\} != x>2
\{x\in\mathbb{N} : x<4\} != (-\infty,4)
|x|\le 2 != (-2,2)
[1,2]\cup(2,3] != [1,3)
1,2,\ldots,n != 1,2,\ldots,m
1,2,\ldots,10 != 1,2,10
0.333 != 1/3
0.333... != 0.333
1.414213562373 != \sqrt2
5 万 != 5 亿
5 mille != 5
5 billion != 5 million
5 squared != 5 cubed
5 minus 3 != 5
5 - 3i != 5
x=2 y=3 != 6
12 more != 12
at least 5 != 5
不超过5 != 5
大约5 != 6
第5 != 5
5折 != 5
半径5 != 6
2倍 != 2
两个 != 3
5 left != 5 right
5 units down != 5 units up
5 years ago != 5
5 below zero != 5
$5 loss != $5
-$5 != $5
5 in the afternoon != 6
twice 5 != 5
double 5 != 5
5 each != 6
5% off != 6
third != 3
3rd != 3
5 thirds != 5
5! != 5
(A) 5, (B) 7 != (A) 3, (B) 9
HHT != THH
CBD != BCD
2^3\frac{1}{2} != 2^{3.5}
A. 5, B. 7 != A
Option A and B != A
I. and II. != I
0.(3) != 0
0.1(6) != 0.6
1 2 3 != 12 3
7 AM != 7 PM
(1,2)-(0,1) != (1,2)
2sinA != 2
2xsinx != 2
2sinxcosx != 2
2sintheta != 2
2xcos(x) != 2x
2\operatorname{cis}(\pi/3) != \frac{2\pi}{3}
5 hours (300 minutes) != 1500
3\text{ if }x>0 != 3x>0
\stirling{5}{2} != \stirling{2}{5}
|x-5| != 5-x
|x+7| != x+7
\ln|x-5| != \ln(5-x)
\sqrt{(x-4)^2} != 4-x
\max(n,5) != 5
\min(n,5) != n
\lfloor n/5 \rfloor != \lfloor n/7 \rfloor
"""

SAME = [tuple(line.split(" == ")) for line in _SAME.strip().splitlines()]
DIFFERENT = [tuple(line.split(" != ")) for line in _DIFFERENT.strip().splitlines()]
