import re
import xml.etree.ElementTree as ET

from components.base.text.figures import (
    COLOURS,
    draw_bars,
    draw_dots,
    draw_legend,
    draw_reference,
    new_figure,
    render_svg,
)


def draw(alt="Two bars."):
    figure, (axes,) = new_figure()
    draw_bars(axes, ["one", "a very long name that must be clipped somewhere"], [1.0, 2.0], ["1", "<2>"])
    draw_reference(axes, 1.5, "limit", vertical=True)
    return render_svg(figure, alt)


def test_picture_is_one_element_with_its_alternative_text():
    root = ET.fromstring(draw('Bars of "a" & <b>.'))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", 'Bars of "a" & <b>.')


def test_picture_keeps_its_text_as_text():
    texts = ["".join(text.itertext()) for text in ET.fromstring(draw()).iter("{http://www.w3.org/2000/svg}text")]
    assert {"one", "<2>", "limit"} <= set(texts)
    assert "a very long name that m…" in texts


def test_colours_are_variables_with_the_light_colour_to_fall_back_on():
    svg = draw()
    assert f"var(--accent, {COLOURS['accent']})" in svg
    assert set(re.findall(r"#[0-9a-f]{6}", re.sub(r"var\(--[a-z-]+, #[0-9a-f]{6}\)", "", svg))) <= {
        "#000000",
        "#ffffff",
    }


def test_pictures_on_one_page_share_no_ids():
    ids = [set(re.findall(r'id="([^"]+)"', draw(alt))) for alt in ("One.", "Two.")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_every_reference_finds_its_target():
    svg = draw()
    assert set(re.findall(r"url\(#([^)]+)\)", svg)) | set(re.findall(r'href="#([^"]+)"', svg)) <= set(
        re.findall(r'id="([^"]+)"', svg)
    )


def test_the_same_figure_gives_the_same_bytes():
    assert draw() == draw()


def test_intervals_and_legend_are_drawn():
    figure, (axes,) = new_figure()
    draw_dots(axes, ["a", "b"], [0.1, 0.2], [0.0, 0.1], [0.2, 0.3])
    axes.plot([0, 1], [0, 1], label="line")
    draw_legend(figure)
    assert "line" in render_svg(figure, "Dots.")
